"""What goes wrong between Slack and us: connections, limits, streams, lost answers. Each test counts answers."""
import json
import time

import pytest

from fakes.slack import FakeSlack, Fault
from harness.slack import Workspace
from harness.wait import stays, wait_until

GROWING = {"chat": {"preview_after": "0s"}}
POST, UPDATE = "chat.postMessage", "chat.update"
STORY = [f"word{i} " for i in range(10)]


@pytest.fixture
def room(world):
    one = Workspace(world)
    yield one
    for gateway in world.gateways:
        gateway.close()
    one.close()
    assert not one.slack.violations()


@pytest.fixture
def hooked(world):
    one = Workspace(world, "events")
    yield one
    for gateway in world.gateways:
        gateway.close()
    one.close()
    assert not one.slack.violations()


def ask_all(room, texts, where=None):
    for text in texts:
        room.ask(text, where or room.dm)


def story(world, pause=0.2):
    world.model.on("story", world.model.stream(STORY, pause=pause))
    return "".join(STORY).strip()


# --- Socket Mode -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("reason", ["refresh_requested", "warning"])
def test_a_refresh_leaves_no_hole(room, reason):
    room.serve()
    for n in range(3):
        least = []
        before = room.slack.greeted
        room.slack.disconnect(reason, 1)
        room.ask(f"during {n}", room.dm)
        wait_until(lambda: least.append(len(room.slack.sockets)) or room.slack.greeted > before, what="a successor")
        wait_until(lambda: least.append(len(room.slack.sockets)) or len(room.slack.sockets) == 2, what="two again")
        assert min(least) >= 2, "the new one was there before the old one went"
    room.expect(["during 0", "during 1", "during 2"], room.dm)


def test_a_refresh_of_all_at_once(room):
    room.serve()
    room.slack.disconnect("warning")
    ask_all(room, ["one", "two", "three"])
    wait_until(lambda: room.slack.greeted == 4 and len(room.slack.sockets) == 2)
    ask_all(room, ["four"])
    room.expect(["one", "two", "three", "four"], room.dm)


def test_connections_that_drop(room):
    room.serve()
    room.slack.drop_sockets()
    ask_all(room, ["one"])
    room.expect(["one"], room.dm)
    wait_until(lambda: len(room.slack.sockets) == 2)


def test_a_connection_that_still_says_open(room):
    room.serve()
    room.slack.freeze_sockets()
    ask_all(room, ["one"])
    room.expect(["one"], room.dm)
    wait_until(lambda: room.slack.greeted >= 4, what="new connections")


def test_socket_mode_is_switched_off(room):
    gateway = room.serve()
    room.slack.disconnect("link_disabled")
    gateway.wait_log("Socket Mode is switched off")
    wait_until(lambda: "switched off" in gateway.get("/readyz").text)
    stays(lambda: room.slack.greeted == 2, 1.5)


def test_too_many_connections(room):
    room.slack.sockets_max = 1
    gateway = room.gateway().start()
    wait_until(lambda: room.slack.too_many >= 1 and room.slack.sockets)
    ask_all(room, ["one"])
    room.expect(["one"], room.dm)
    stays(lambda: room.slack.too_many <= 2, 2)
    assert gateway.get("/readyz").json["ready"]


def test_no_hello(room):
    room.slack.hello = False
    gateway = room.gateway().spawn()
    wait_until(lambda: len(room.slack.called("apps.connections.open")) >= 2)
    room.slack.hello = True
    wait_until(lambda: gateway.ready(), 60)
    ask_all(room, ["one"])
    room.expect(["one"], room.dm)


def test_an_acknowledgement_is_lost(world, room):
    room.serve()
    room.slack.ack_seconds = 0.5
    room.slack.lose_acks = 1
    ask_all(room, ["one"])
    wait_until(lambda: room.slack.acks, what="the repetition is acknowledged")
    room.expect(["one"], room.dm)
    assert world.one("SELECT count(*) FROM requests") == 1


def test_no_acknowledgement_before_the_commit(world, room):
    """While PostgreSQL is locked nothing is acknowledged; afterwards everything is answered once."""
    room.serve()
    room.slack.ack_seconds = 1.0
    with world.servers.connect(world.database) as locker:
        locker.autocommit = False
        locker.cursor().execute("LOCK TABLE requests IN ACCESS EXCLUSIVE MODE")
        ask_all(room, ["one"])
        stays(lambda: not room.slack.acks, 1.0)
        locker.rollback()
    room.expect(["one"], room.dm)


@pytest.mark.parametrize("what", [{"type": "events_api"}, {"type": "nonsense", "envelope_id": "x"}, {"envelope_id": 7, "type": "events_api"},
                                  {"envelope_id": "e1", "type": "events_api", "payload": []},
                                  {"envelope_id": "e2", "type": "interactive", "payload": {"type": "block_actions"}}, "text", "\ud83d"])
def test_messages_that_nobody_understands(room, what):
    room.serve()

    async def say():
        for socket in list(room.slack.sockets):
            await socket.ws.send_str(json.dumps(what))
    room.slack.run(say())
    ask_all(room, ["one"])
    room.expect(["one"], room.dm)
    assert len(room.slack.sockets) == 2


# --- the Events API --------------------------------------------------------------------------------------------

def post(room, event, **more):
    body = json.dumps({"team_id": room.team.id, "type": "event_callback", "event_id": "Ev9", "event": event}).encode()
    return room.slack.run(room.slack.post(more.pop("body", body), "application/json", **more))


def message(room, text="hi", **more):
    return {"type": "message", "channel": room.dm.id, "channel_type": "im", "user": room.alice, "text": text, "ts": room.slack.call(room.slack.next_ts), **more}


def test_the_challenge(hooked):
    hooked.serve()
    answer = hooked.slack.run(hooked.slack.post(b'{"type":"url_verification","token":"x","challenge":"abc123"}', "application/json"))
    assert answer[0] == 200 and answer[2] == "abc123"


def test_signatures(world, hooked):
    hooked.serve()
    event = message(hooked)
    assert post(hooked, event, secret="another secret")[0] == 401
    assert post(hooked, event, headers={"X-Slack-Signature": "v0=00"})[0] == 401
    assert post(hooked, event, headers={"X-Slack-Signature": ""})[0] == 401
    assert post(hooked, event, headers={"X-Slack-Request-Timestamp": "soon"})[0] == 401
    for skew, status in ((-310, 401), (310, 401), (-280, 200), (280, 200)):
        hooked.slack.clock_skew = skew
        assert post(hooked, event)[0] == status, skew
    assert world.one("SELECT count(*) FROM requests") == 1, "the second one was a repetition"


def test_an_event_that_is_repeated(world, hooked):
    hooked.serve()
    event = message(hooked)
    for n in range(4):
        headers = {"X-Slack-Retry-Num": str(n), "X-Slack-Retry-Reason": "http_timeout"} if n else {}
        assert post(hooked, event, headers=headers)[0] == 200
    wait_until(lambda: hooked.answers(hooked.dm) == ["echo: hi"])
    world.wait_settled(1)
    assert world.one("SELECT count(*) FROM requests") == 1


def test_nothing_is_acknowledged_while_it_cannot_be_stored(world, hooked):
    hooked.serve()
    hooked.slack.retry_seconds = (0.5, 1.0, 2.0, 4.0)
    world.sql("ALTER TABLE requests RENAME TO away")
    hooked.ask("hi", hooked.dm)
    wait_until(lambda: hooked.slack.hook_answers)
    world.sql("ALTER TABLE away RENAME TO requests")
    statuses = [a[0] for a in hooked.slack.hook_answers]
    assert 200 not in statuses[:1]


@pytest.mark.parametrize("body, status", [
    (b"", 400), (b"{", 400), (b"[]", 400), (b'"x"', 400), (b'{"type":"event_callback"}', 400),
    (b'{"team_id":"T1","type":"event_callback"}', 400), (b'{"team_id":"T1","type":"event_callback","event":{"type":"new_kind"}}', 200),
    (b'{"team_id":"T404","type":"event_callback","event":{"type":"message"}}', 200),
    (b'{"team_id":"T1","type":"app_rate_limited","minute_rate_limited":1}', 200),
    (b'{"team_id":"T1","type":"event_callback","event":{"type":"message","channel":"D1","user":"U1","ts":1.5,"text":"x"}}', 400),
    (b"\xff\xfe", 400),
])
def test_bodies(world, hooked, body, status):
    hooked.serve()
    answer = post(hooked, None, body=body)
    assert answer[0] == status
    if status == 400:
        assert "error" in json.loads(answer[2])
    hooked.ask("still there?", hooked.dm)
    hooked.expect(["still there?"], hooked.dm)


@pytest.mark.parametrize("body", [b"payload=%7B", b"payload=%ff", b"payload=", b"text=%zz&team_id=T1", b"a&b&c=%C3%28", b"team_id=T1&text=x"])
def test_forms(hooked, body):
    hooked.serve()
    answer = hooked.slack.run(hooked.slack.post(body, "application/x-www-form-urlencoded"))
    assert answer[0] == 400
    hooked.ask("still there?", hooked.dm)
    hooked.expect(["still there?"], hooked.dm)


def test_three_megabytes_of_blocks(hooked):
    hooked.serve()
    blocks = [{"type": "rich_text", "elements": [{"type": "text", "text": "x" * 1000}]} for _ in range(3000)]
    assert post(hooked, message(hooked, "large", blocks=blocks))[0] == 200
    wait_until(lambda: hooked.answers(hooked.dm) == ["echo: large"])
    assert post(hooked, None, body=b"x" * (5 << 20))[0] in (0, 413)


# --- the Web API -----------------------------------------------------------------------------------------------

def test_a_limit_on_posts(room):
    room.serve()
    room.slack.inject(POST, Fault(room.slack.limited(POST, 2)))
    ask_all(room, ["one", "two"])
    room.expect(["one", "two"], room.dm)
    assert room.slack.called_while_blocked == 0


def test_a_limit_on_edits(world, room):
    room.slack.no_streams.update(("im", "channel"))
    room.serve(**GROWING)
    text = story(world)
    room.slack.inject(UPDATE, Fault(room.slack.limited(UPDATE, 2)))
    room.ask("story", room.dm)
    wait_until(lambda: room.answers(room.dm) == [text], what="the whole story in one message")
    world.wait_settled(1)
    assert room.slack.called_while_blocked == 0


def test_more_answers_than_slack_takes_at_once(room):
    """Many answers at once into one channel: none is lost, none comes twice."""
    room.serve()
    room.slack.limits[POST] = (3, 1.0)
    texts = [f"n{i}" for i in range(8)]
    ask_all(room, texts)
    room.expect(texts, room.dm, timeout=60)


@pytest.mark.parametrize("fault", [FakeSlack.status(500), FakeSlack.status(503), FakeSlack.status(200), FakeSlack.error("internal_error"),
                                   FakeSlack.error("fatal_error")], ids=["500", "503", "html", "internal_error", "fatal_error"])
@pytest.mark.parametrize("after", [False, True], ids=["not done", "done"])
def test_a_post_whose_outcome_nobody_knows(room, fault, after):
    room.serve()
    room.slack.inject(POST, Fault(fault, after=after))
    ask_all(room, ["one"])
    room.expect(["one"], room.dm)


@pytest.mark.parametrize("after", [False, True], ids=["not done", "done"])
@pytest.mark.parametrize("where", ["dm", "thread"])
def test_a_post_whose_answer_is_lost(room, after, where):
    room.serve()
    room.slack.inject(POST, Fault(FakeSlack.lost, after=after))
    place = room.dm if where == "dm" else room.channel
    room.ask("one", place)
    room.expect(["one"], place)
    if after:
        assert room.slack.called("conversations.history" if where == "dm" else "conversations.replies")


def test_a_lost_post_is_found_behind_many_others(room):
    room.slack.page_max = 3
    room.serve()
    room.slack.inject(POST, Fault(FakeSlack.lost, after=True))
    question = room.ask("one")
    for i in range(8):
        room.slack.call(lambda: room.channel.add(user="UX", text="noise", thread_ts=question.ts))
    room.expect(["one"])
    assert len(room.slack.called("conversations.replies")) >= 1


@pytest.mark.parametrize("word, dead", [("channel_not_found", True), ("not_in_channel", True), ("is_archived", True), ("restricted_action", True),
                                        ("msg_too_long", True), ("invalid_blocks", False), ("thread_not_found", False)])
def test_refusals(world, room, word, dead):
    room.serve()
    room.slack.inject(POST, Fault(FakeSlack.error(word)))
    room.ask("one")
    world.wait_settled(1)
    status = world.one("SELECT status FROM deliveries")
    assert status == ("dead" if dead else "sent")
    assert len(room.answers()) == (0 if dead else 1)
    room.ask("two")
    wait_until(lambda: "echo: two" in room.answers())


@pytest.mark.parametrize("word", ["invalid_auth", "account_inactive", "token_revoked", "missing_scope"])
def test_a_token_that_does_not_work_for_a_while(world, room, word):
    gateway = room.serve()
    room.slack.inject(POST, Fault(FakeSlack.error(word)))
    ask_all(room, ["one"])
    room.expect(["one"], room.dm)
    assert gateway.logged(word)
    assert room.team.token not in gateway.log() and room.slack.app_token not in gateway.log()


def test_an_edit_of_a_message_that_was_deleted(world, room):
    room.slack.no_streams.update(("im", "channel"))
    room.serve(**GROWING)
    text = story(world)
    room.ask("story", room.dm)
    preview = wait_until(lambda: next(iter(room.dm.of(room.team.bot_user)), None))
    room.slack.call(lambda: room.dm.messages.pop(preview.ts))
    wait_until(lambda: room.answers(room.dm) == [text], what="the answer in a new message")
    world.wait_settled(1)


# --- streams ---------------------------------------------------------------------------------------------------

def test_a_stream_that_dies(world, room):
    room.serve(**GROWING)
    text = story(world)
    room.ask("story")
    stream = wait_until(lambda: next(iter(room.channel.of(room.team.bot_user)), None))
    assert stream.streaming

    def die():
        stream.streaming = False
    room.slack.call(die)
    wait_until(lambda: stream.shown.strip() == text, what="the whole text by an edit")
    world.wait_settled(1)
    assert len(room.channel.of(room.team.bot_user)) == 1 and stream.edits >= 1


@pytest.mark.parametrize("method", ["chat.startStream", "chat.appendStream", "chat.stopStream"])
@pytest.mark.parametrize("fault", ["limited", "lost", "lost after", "500", "unknown_method", "stopped_by_user"])
def test_a_stream_in_trouble(world, room, method, fault):
    room.serve(**GROWING)
    text = story(world)
    behave = {"limited": room.slack.limited(method, 1), "lost": FakeSlack.lost, "lost after": FakeSlack.lost, "500": FakeSlack.status(500)}
    room.slack.inject(method, Fault(behave.get(fault) or FakeSlack.error(fault), after=fault == "lost after"))
    room.ask("story")
    wait_until(lambda: any(m.shown.strip() == text or m.text.strip() == text for m in room.channel.of(room.team.bot_user)), 60, "the whole story")
    world.wait_settled(1, 60)
    assert len(room.channel.of(room.team.bot_user)) == 1, [m.shown for m in room.channel.of(room.team.bot_user)]
    assert not room.channel.of(room.team.bot_user)[0].streaming


# --- processes -------------------------------------------------------------------------------------------------

def test_two_processes_share_one_app(world, room):
    first = room.serve()
    room.gateway().start()
    wait_until(lambda: len(room.slack.sockets) == 4)
    texts = [f"n{i}" for i in range(6)]
    ask_all(room, texts[:3])
    wait_until(lambda: world.one("SELECT count(*) FROM requests") == 3)
    first.kill()
    ask_all(room, texts[3:])
    wait_until(lambda: sorted(room.answers(room.dm)) == sorted(f"echo: {t}" for t in texts), 60, "every answer once")
    world.wait_settled(6)


@pytest.mark.parametrize("where", ["intake.store.start", "intake.store.done", "turn.claim.done", "turn.ask.done", "turn.keep.start", "turn.keep.done",
                                   "delivery.mark.done", "delivery.send.start", "delivery.send.done", "delivery.record.done"])
@pytest.mark.parametrize("growing", [False, True], ids=["at once", "growing"])
def test_killed_in_each_step(world, room, where, growing):
    sections = {"chat": {"preview_after": "0s" if growing else "1m", "lease": "2s"}}
    gateway = room.gateway(**sections).start(PARLEY_ABORT_AT=where)
    room.ready(gateway)
    room.slack.ack_seconds = 1.0
    question = room.ask("one two three")
    gateway.wait_killed()
    room.ready(gateway.start())
    room.slack.ack_seconds = 3.0
    wait_until(lambda: "echo: one two three" in [a.strip() for a in room.answers(thread=question)], 60, "the answer")
    world.wait_settled(1, 60)
    done = [a for a in room.answers(thread=question) if a.strip() == "echo: one two three"]
    assert len(done) == 1


def test_redis_is_not_needed(world, room):
    gateway = room.gateway()
    gateway.settings["redis"]["url"] = "redis://127.0.0.1:1"
    room.ready(gateway.start())
    ask_all(room, ["one"])
    room.expect(["one"], room.dm)


def test_an_old_event_is_marked_late(hooked):
    hooked.serve()
    old = f"{int(time.time()) - 7200}.000001"
    assert post(hooked, {**message(hooked), "ts": old})[0] == 200
    wait_until(lambda: hooked.answers(hooked.dm))
    assert "late answer" in hooked.answers(hooked.dm)[0]
