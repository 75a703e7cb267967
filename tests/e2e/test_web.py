"""The web chat: what its page says over the WebSocket, and what must not hurt it."""
import base64
import json
import os
import re
import threading
import uuid

import pytest

from harness.search import traces
from harness.wait import stays, wait_until
from harness.webclient import TEXT, Person, Refused, Socket, new_thread
from test_crash import points


@pytest.fixture
def gateway(world):
    return world.gateway(None, chat={"lease": "1s"}).start()


@pytest.fixture
def ann(gateway):
    return Person(gateway)


def test_a_message_is_accepted_streamed_and_stored(world, gateway, ann):
    page, thread = ann.connect(gateway), new_thread()
    world.model.on("story", world.model.stream(["Once ", "upon ", "a **time**"], pause=0.2))
    message_id = page.say(thread, "a story")
    accepted = page.wait("accepted", id=message_id)
    assert world.one("SELECT count(*) FROM messages WHERE id = %s", accepted["message"]) == 1
    wait_until(lambda: page.answers(thread) == ["Once upon a **time**"])
    deltas = page.of("delta", thread=thread)
    assert "".join(d["text"] for d in deltas) == "Once upon a **time**"[:sum(len(d["text"]) for d in deltas)]
    assert [d["from"] for d in deltas] == [sum(len(e["text"].encode()) for e in deltas[:n]) for n in range(len(deltas))]
    assert len(deltas) >= 2, "it grew before people's eyes"
    world.wait_settled(1)
    assert page.history(thread) == [("user", "a story"), ("assistant", "Once upon a **time**")]


def test_a_busy_gateway_sends_fewer_longer_pieces(world, gateway, ann):
    pieces = [f"{n} and" + " " * (n < 199) for n in range(200)]
    world.model.on("story", world.model.stream(pieces, pause=0.01))
    page, over = ann.connect(gateway), threading.Event()

    def keep_busy():
        while not over.is_set():
            gateway.get("/metrics")

    def whole(thread):
        wait_until(lambda: page.answers(thread) == ["".join(pieces)], 60)
        deltas = page.of("delta", thread=thread)
        assert "".join(d["text"] for d in deltas) == "".join(pieces), "all of it, before the whole message"
        assert [d["from"] for d in deltas] == [sum(len(e["text"]) for e in deltas[:n]) for n in range(len(deltas))]
        return len(deltas)

    def pieces_have_waited():
        threads = [new_thread(), new_thread()]
        leaves = ann.connect(gateway)
        for thread in threads:
            page.say(thread, "a story")
        wait_until(lambda: len(leaves.of("delta", thread=threads[0])) > 2, 60)
        leaves.close()  # with pieces that wait for it
        fewer = [whole(thread) < len(pieces) / 2 for thread in threads]
        return all(fewer) and gateway.metric("parley_web_held_pieces_total") > 0 and \
            gateway.metric("parley_http_client_rests_total") > 0

    others = [threading.Thread(target=keep_busy) for _ in range(4)]
    for other in others:
        other.start()
    try:
        wait_until(pieces_have_waited, 60)
    finally:
        over.set()
        for other in others:
            other.join()


def test_a_vote_on_an_answer(world, gateway, ann):
    page, thread = ann.connect(gateway), new_thread()
    page.say(thread, "hello")
    message = page.wait("message", thread=thread, role="assistant")
    world.wait_settled(1)
    page.ask("vote", thread=thread, message=message["id"], vote=1)
    wait_until(lambda: world.sql("SELECT vote FROM feedback") == [(1,)])
    page.ask("vote", thread=thread, message=message["id"], vote=-1)
    wait_until(lambda: world.sql("SELECT vote FROM feedback") == [(-1,)])
    page.ask("vote", thread=thread, message=message["id"], vote=-1, taken_back=True)
    wait_until(lambda: world.sql("SELECT vote FROM feedback") == [])
    stranger = Person(gateway).connect(gateway)
    stranger.ask("vote", thread=thread, message=message["id"], vote=1)
    stranger.ask("list")
    stranger.wait("list")
    stays(lambda: world.sql("SELECT vote FROM feedback") == [])


@pytest.fixture
def busy(world, gateway, ann):
    """A page whose conversation is answering "slow" for a while."""
    page, thread = ann.connect(gateway), new_thread()
    world.model.on("slow", world.model.stream(["slow ", "answer"], pause=2.0))
    page.say(thread, "slow")
    page.wait("delta", thread=thread)
    return page, thread


def test_what_waits_can_be_changed(world, gateway, ann, busy):
    page, thread = busy
    tab = ann.connect(gateway)
    waits = page.say(thread, "secnod")
    page.wait("accepted", id=waits)
    page.ask("edit", thread=thread, message=waits, text="second")
    assert tab.wait("edited", client=waits)["text"] == "second", "other tabs see it, too"
    wait_until(lambda: page.answers(thread) == ["slow answer", "echo: second"])
    page.ask("edit", id=str(uuid.uuid4()), thread=thread, message=waits, text="third")
    assert "already" in page.wait("error")["text"]
    assert [text for role, text in page.history(thread) if role == "user"] == ["slow", "second"]


def test_what_waits_can_be_taken_back(world, gateway, ann, busy):
    page, thread = busy
    waits, last = page.say(thread, "second"), page.say(thread, "third")
    page.wait("accepted", id=last)
    stranger = Person(gateway).connect(gateway)
    stranger.ask("take_back", id=str(uuid.uuid4()), thread=thread, message=last)
    assert "already" in stranger.wait("error")["text"], "it is not theirs"
    page.ask("take_back", thread=thread, message=waits)
    page.wait("taken_back", client=waits)
    wait_until(lambda: page.answers(thread) == ["slow answer", "echo: third"])
    world.wait_settled(3)
    assert "second" not in str(page.history(thread))
    assert world.one("SELECT count(*) FROM messages WHERE position('second' in content) > 0") == 0


# --- files -------------------------------------------------------------------------------------------------------

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def upload(gateway, person, data=PNG, name="cat.png", kind="image/png", **headers):
    return gateway.request("POST", f"/attachments?name={name}", data,
                           {"Cookie": person.cookie, "Origin": gateway.url, "Content-Type": kind, **headers})


def test_a_picture_is_seen_by_models_that_see_and_a_file_is_noted(world):
    gateway = world.gateway(None)
    gateway.settings["models"][0]["sees"] = True
    gateway.start()
    ann = Person(gateway)
    page, tab, thread = ann.connect(gateway), ann.connect(gateway), new_thread()
    cat, book = upload(gateway, ann).json, upload(gateway, ann, b"%PDF-1.7", "a%5Dbook.pdf", "application/pdf").json
    assert (cat["kind"], book["kind"], book["name"]) == ("photo", "document", "a book.pdf")
    page.ask("send", id=str(uuid.uuid4()), thread=thread, text="what is this?", attachments=[cat["id"], book["id"]])
    wait_until(lambda: page.answers(thread))
    said = world.model.asks[0].body["messages"][-1]["content"]
    assert said[0]["text"] == "what is this?\n[attached: photo cat.png]\n[attached: document a book.pdf]"
    assert [p["image_url"]["url"] for p in said[1:]] == ["data:image/png;base64," + base64.b64encode(PNG).decode()]
    shown = tab.wait("message", role="user")
    assert shown["attachments"] == [{"kind": "photo", "name": "cat.png"}, {"kind": "document", "name": "a book.pdf"}]
    page.ask("send", id=str(uuid.uuid4()), thread=thread, text="", attachments=[cat["id"]])
    wait_until(lambda: len(page.answers(thread)) == 2, what="a picture alone is a question, too")


def test_files_go_with_their_person(world, gateway, ann):
    page, thread = ann.connect(gateway), new_thread()
    sent = upload(gateway, ann, name="vermilion.png").json["id"]
    upload(gateway, ann, name="never-sent.png")
    page.ask("send", id=str(uuid.uuid4()), thread=thread, text="look", attachments=[sent])
    wait_until(lambda: page.answers(thread))
    page.say(thread, "/forget")
    code = re.search(r"[0-9A-Z]{4}-[0-9A-Z]{4}", wait_until(lambda: page.answers(thread)[1:])[0]).group()
    page.say(thread, f"/forget {code}")
    wait_until(lambda: world.one("SELECT count(*) FROM users") == 0)
    wait_until(lambda: not traces(world, [sent, "vermilion", "never-sent", code]), what="no trace is left")
    assert world.one("SELECT count(*) FROM attachments") == 0


def test_files_of_others_and_bad_files(world, gateway, ann):
    page, thread, bob = ann.connect(gateway), new_thread(), Person(gateway)
    bobs = upload(gateway, bob).json["id"]
    for attachments, why in (([bobs], "attach it again"), ([str(uuid.uuid4())], "attach it again"), (["x"], "not a UUID"),
                             ("x", "not a list"), ([bobs] * 11, "more than 10")):
        message = str(uuid.uuid4())
        page.ask("send", id=message, thread=thread, text="look", attachments=attachments)
        assert why in page.wait("error", id=message)["text"]
    assert upload(gateway, ann, b"").status == 400
    assert upload(gateway, ann, bytes(5 << 20)).status == 413
    assert upload(gateway, ann, Origin="https://evil.example").status == 403
    assert gateway.request("POST", "/attachments?name=x", PNG, {"Origin": gateway.url}).status in (401, 403)
    assert upload(gateway, ann, b"<svg onload=alert(1)>", "x.svg", "image/svg+xml").json["kind"] == "document"
    for _ in range(25):
        last = upload(gateway, ann, b"x", "many", "text/plain").status
    assert last == 429 and world.one("SELECT count(*) FROM attachments WHERE name = 'many'") < 20
    assert world.sql("SELECT id FROM requests") == []


def test_the_same_message_sent_again_is_answered_once(world, gateway, ann):
    page, thread = ann.connect(gateway), new_thread()
    message_id = str(uuid.uuid4())
    for _ in range(5):
        page.say(thread, "once", message_id)
    wait_until(lambda: len(page.of("accepted", id=message_id)) == 5)
    world.wait_settled(1)
    stays(lambda: page.answers(thread) == ["echo: once"] or not page.answers(thread))
    assert page.history(thread) == [("user", "once"), ("assistant", "echo: once")]


def test_answers_come_in_order_and_conversations_are_apart(world, gateway, ann):
    page, one, two = ann.connect(gateway), new_thread(), new_thread()
    for n in range(5):
        page.say(one, f"one {n}")
        page.say(two, f"two {n}")
    world.wait_settled(10)
    wait_until(lambda: len(page.answers(one)) == len(page.answers(two)) == 5)
    assert page.answers(one) == [f"echo: one {n}" for n in range(5)]
    assert page.answers(two) == [f"echo: two {n}" for n in range(5)]
    assert not any("two" in text for ask in world.model.asks if ask.last.startswith("one") for _, text in ask.history)


def test_another_tab_sees_both_sides_and_a_stranger_neither(world, gateway, ann):
    page, other_tab, stranger = ann.connect(gateway), ann.connect(gateway), Person(gateway).connect(gateway)
    thread = new_thread()
    page.say(thread, "hello")
    wait_until(lambda: other_tab.answers(thread) == ["echo: hello"])
    assert [f["text"] for f in other_tab.of("message", role="user")] == ["hello"]
    assert stranger.history(thread) == [], "a conversation belongs to its person"
    assert not stranger.of("message") and not stranger.of("delta")


def test_a_page_on_another_process_sees_the_answer(world, gateway, ann):
    second = world.gateway(None).start()
    page, elsewhere, thread = ann.connect(gateway), ann.connect(second), new_thread()
    page.say(thread, "hello")
    wait_until(lambda: elsewhere.answers(thread) == ["echo: hello"])


def test_what_came_while_away_is_in_the_history(world, gateway, ann):
    page, thread = ann.connect(gateway), new_thread()
    world.model.delay = 0.3
    page.say(thread, "hello")
    page.wait("accepted")
    page.close()
    world.wait_settled(1)
    again = ann.connect(gateway)
    assert again.history(thread) == [("user", "hello"), ("assistant", "echo: hello")]
    again.ask("list")
    assert [t["thread"] for t in again.wait("list")["threads"]] == [thread]


@pytest.mark.parametrize("point", points())
def test_killed_at(world, gateway, ann, point):
    """The web channel knows a delivery by its key: exactly one answer, whatever the step. An unaccepted message is
    sent again by the page, under the same id."""
    if point.startswith(("delivery.notice", "delivery.load")):
        pytest.skip("no outcome is unknown here; the parts are loaded by the second attempt")
    thread, texts = new_thread(), ["first", "second", "third"]
    page = ann.connect(gateway)
    page.say(thread, texts[0])
    wait_until(lambda: page.answers(thread) == ["echo: first"])
    world.wait_settled(1)
    gateway.kill()
    world.redis.flushdb()
    gateway.start(PARLEY_ABORT_AT=f"{point}:{1 if point.startswith('turn.history') else 2}")
    page, unaccepted = ann.connect(gateway), {}
    try:
        for text in texts[1:]:
            unaccepted[page.say(thread, text)] = text
    except OSError:
        pass  # it is dead already
    gateway.wait_killed()
    gateway.start()
    page = ann.connect(gateway)
    for message_id, text in unaccepted.items():
        page.say(thread, text, message_id)
    world.wait_settled(len(texts), 40)
    history = page.history(thread)
    assert [t for role, t in history if role == "user"] == texts
    assert [t for role, t in history if role == "assistant"] == [f"echo: {t}" for t in texts]
    assert world.one("SELECT count(*) FROM deliveries WHERE status <> 'sent'") == 0


# --- who may come in ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("origin", [None, "https://evil.example", "null", "http://127.0.0.1:1"])
def test_a_foreign_page_may_not_connect(gateway, ann, origin):
    with pytest.raises(Refused) as refused:
        Socket(gateway, ann.cookie, origin)
    assert refused.value.status == 403


def test_no_cookie_no_socket(gateway):
    with pytest.raises(Refused) as refused:
        Socket(gateway, None, gateway.url)
    assert refused.value.status == 401
    with pytest.raises(Refused) as refused:
        Socket(gateway, "parley_session=made-up", gateway.url)
    assert refused.value.status == 401


def test_open_to_the_world_by_accident_is_refused(world):
    gateway = world.gateway(None, http={"address": "0.0.0.0"})
    done = gateway.run("serve")
    assert done.returncode != 0 and "key" in done.stderr


def test_an_invite_link_lets_people_in(world):
    gateway = world.gateway(None, http={"address": "0.0.0.0"})
    gateway.settings["channels"][0]["key"] = "env:WEB_KEY"
    gateway.env["WEB_KEY"] = "a-long-enough-key"
    gateway.start()
    assert gateway.request("POST", "/session", b"", {"Origin": gateway.url}).status == 401
    assert gateway.get("/?key=wrong").status in (401, 403)
    assert "a-long-enough-key" not in gateway.log()


def test_the_page_is_served_with_its_protection(gateway):
    page = gateway.get("/")
    assert page.status == 200 and page.headers["Content-Type"].startswith("text/html")
    policy = page.headers["Content-Security-Policy"]
    assert "unsafe-inline" not in policy and "unsafe-eval" not in policy and "default-src" in policy
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert gateway.get("/assets/app.js").status == 200
    assert gateway.get("/assets/../web.c").status == 404
    assert gateway.request("GET", "/", headers={"Host": "rebound.example"}).status == 403


# --- bad input ---------------------------------------------------------------------------------------------------

@pytest.fixture
def bob_is_unharmed(world, gateway):
    bob, thread = Person(gateway), new_thread()
    yield
    page = bob.connect(gateway)
    page.say(thread, "still there?")
    wait_until(lambda: page.answers(thread) == ["echo: still there?"])
    assert gateway.alive()


@pytest.mark.parametrize("frame", [
    "", "{", "[]", "null", '"x"', "{}", '{"type": 7}', '{"type": "nonsense"}', '{"type": "send"}',
    '{"type": "send", "id": "x", "thread": "y", "text": "z"}', '{"type":"send","id":[],"thread":{},"text":1}',
    '{"type": "history", "thread": "not-a-uuid"}', "[" * 10000, '{"type":"send","text":"\\u0000"}',
    '{"type":"list","id":"' + "x" * 100000 + '"}',
], ids=lambda f: f[:20])
def test_a_frame_that_is_no_message_gets_an_error(world, gateway, ann, bob_is_unharmed, frame):
    page = ann.connect(gateway)
    page.send_frame(TEXT, frame.encode())
    wait_until(lambda: page.of("error") or page.closed)
    assert world.one("SELECT count(*) FROM requests") == 0


@pytest.mark.parametrize("data", [os.urandom(500), b"\xff" * 100, b"\x81\x05hello", b"\x81\xff" + b"\x7f" * 12, b"\x89\xfe\xff\xff"],
                         ids=["noise", "ones", "unmasked", "huge length", "long ping"])
def test_bytes_that_are_no_websocket(gateway, ann, bob_is_unharmed, data):
    page, rss = ann.connect(gateway), gateway.rss_mb()
    page.send_raw(data)
    stays(lambda: gateway.alive() and gateway.rss_mb() < rss + 20)
    page.close()


def test_invalid_utf8_in_a_text_frame(gateway, ann, bob_is_unharmed):
    page = ann.connect(gateway)
    page.send_frame(TEXT, b'{"type":"send","text":"\xff\xfe"}')
    wait_until(lambda: page.of("error") or page.closed)


def test_a_frame_of_1_mb_closes_the_page(gateway, ann, bob_is_unharmed):
    page = ann.connect(gateway)
    try:
        page.send_frame(TEXT, json.dumps({"type": "send", "text": "x" * (1 << 20)}).encode())
    except OSError:
        pass
    wait_until(lambda: page.closed)


def test_a_flood_is_slowed_down_then_closed(gateway, ann, bob_is_unharmed):
    page = ann.connect(gateway)
    try:
        for _ in range(2000):
            page.ask("ping")
    except OSError:
        pass
    wait_until(lambda: page.closed)
    gateway.wait_log(r"warn .*flood")


def test_a_page_that_never_reads_costs_bounded_memory(world, gateway, ann, bob_is_unharmed):
    thread, rss = new_thread(), gateway.rss_mb()
    world.model.on("huge", world.model.huge(2 << 20))
    page = ann.connect(gateway, read=False)
    for _ in range(5):
        page.say(thread, "huge")
    world.wait_settled(5, 120)
    assert gateway.rss_mb() < rss + 100
    page.close()


def test_too_many_pages_of_one_person_are_refused(gateway, ann, bob_is_unharmed):
    pages = [ann.connect(gateway) for _ in range(20)]
    with pytest.raises(Refused) as refused:
        ann.connect(gateway)
    assert refused.value.status == 429
    for page in pages:
        page.close()
    wait_until(lambda: try_connect(gateway, ann))


def try_connect(gateway, person):
    try:
        person.connect(gateway).close()
        return True
    except Refused:
        return False
