"""A message in, exactly one answer out, in order, and all of it in PostgreSQL."""
import concurrent.futures
import json
import re
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest

from fakes.telegram import Fault
from harness.gateway import BINARY
from harness.wait import stays, wait_until
from harness.world import TELEGRAM_SECRET

MODES = pytest.mark.parametrize("mode", ["webhook", "poll"])


@MODES
def test_a_message_gets_one_answer(world, mode):
    gateway = world.serve(mode)
    alice = world.bot.person(7, "Alice", username="alice")
    world.bot.say(alice, "hello there")
    world.expect_answers(alice, ["hello there"])
    world.expect_rows(alice, ["hello there"])
    assert world.bot.pending_count() == 0 or mode == "poll"
    user, identity = world.sql("""SELECT u.username, i.channel_user_id FROM users u JOIN identities i ON i.user_id = u.id
                                  WHERE i.channel_type = 'telegram'""")[0]
    assert (user, identity) == ("alice", "7")
    assert gateway.metric("parley_requests_total", outcome="answered") == 1
    [ask] = world.model.asks
    assert ask.body["stream"] is True and ask.headers["Authorization"] == "Bearer sk-test-0123456789"
    assert "sk-test" not in gateway.log() and world.bot.token.split(":")[1] not in gateway.log()


@MODES
def test_many_chats_at_once_are_answered_in_order(world, mode):
    world.serve(mode)
    people = [world.bot.person(100 + n) for n in range(20)]
    texts = [f"message {n}" for n in range(6)]
    for text in texts:
        for person in people:
            world.bot.say(person, text)
    for person in people:
        world.expect_answers(person, texts, timeout=60)
        world.expect_rows(person, texts)


@MODES
def test_the_model_sees_the_conversation(world, mode):
    world.serve(mode)
    alice = world.bot.person(7)
    for text in ("one", "two"):
        world.bot.say(alice, text)
        wait_until(lambda: f"echo: {text}" in world.bot.texts(alice))
        world.wait_settled()
    world.bot.say(alice, "three")
    wait_until(lambda: len(world.bot.messages(alice)) == 3)
    assert world.model.asks[-1].history == [("user", "one"), ("assistant", "echo: one"), ("user", "two"),
                                            ("assistant", "echo: two"), ("user", "three")]
    assert world.model.asks[-1].body["messages"][0]["role"] in ("system", "developer")


def post_update(gateway, update, secret=TELEGRAM_SECRET):
    return gateway.post("/hooks/telegram/support", update, {"X-Telegram-Bot-Api-Secret-Token": secret})


def test_what_telegram_kept_for_us_is_answered_and_marked(world):
    alice = world.bot.person(7)
    world.bot.say(alice, "hello", date=int(time.time()) - 2 * 3600 + 300)
    world.serve()
    wait_until(lambda: world.bot.texts(alice))
    assert world.bot.texts(alice) == ["(a late answer: you wrote this 2 h before I saw it)\n\necho: hello"]


def test_an_update_delivered_again_is_answered_once(world):
    gateway = world.gateway("webhook").start()
    alice = world.bot.person(7)
    update = world.bot.say(alice, "only once")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post_update(gateway, update).status, range(8)))
    assert answers == [200] * 8
    world.expect_answers(alice, ["only once"])
    assert post_update(gateway, update).status == 200, "long after"
    stays(lambda: world.bot.texts(alice) == ["echo: only once"])
    world.expect_rows(alice, ["only once"])
    assert gateway.metric("parley_duplicates_dropped_total") == 8


def test_a_poll_repeated_after_a_crash_is_answered_once(world):
    """The offset is confirmed by the next poll only: a killed process sees the same updates again."""
    gateway = world.serve("poll")
    alice = world.bot.person(7)
    world.bot.say(alice, "first")
    world.expect_answers(alice, ["first"])
    world.bot.inject("getUpdates", Fault("hang", times=1000))
    gateway.kill()
    world.bot.heal()
    world.bot.say(alice, "second")
    gateway.start()
    world.expect_answers(alice, ["first", "second"])


def test_the_webhook_is_acknowledged_after_the_commit(world):
    gateway = world.gateway("webhook", gateway={"drain": "1s"}).start()
    alice = world.bot.person(7)
    world.model.on("slow", world.model.silent())
    assert post_update(gateway, world.bot.say(alice, "slow")).status == 200
    assert world.one("SELECT count(*) FROM requests WHERE query = 'slow'") == 1, "200 means it is stored"


def test_the_answer_streams_by_edits_of_one_message(world):
    world.serve("webhook", chat={"preview_after": "100ms"})
    alice = world.bot.person(7)
    world.model.on("story", world.model.stream([f"word{n} " for n in range(60)], pause=0.1))
    world.bot.say(alice, "a story")
    wait_until(lambda: world.settled() and world.bot.messages(alice) and
               world.bot.texts(alice)[0].endswith("word59"), 40)
    [message] = world.bot.messages(alice)
    assert message.text == " ".join(f"word{n}" for n in range(60))
    assert len(message.history) >= 3, "it grew before people's eyes"
    assert any(c.params["action"] == "typing" for c in world.bot.calls_of("sendChatAction"))
    edits = [c.at for c in world.bot.calls_of("editMessageText")]
    assert all(b - a > 1.0 for a, b in zip(edits, edits[1:-1])), "not faster than Telegram lets a bot edit"


def test_markdown_becomes_telegrams_html(world):
    world.serve()
    alice = world.bot.person(7)
    world.model.on("format", world.model.stream(
        ["# Title\n\n**bold** and *it* <script> & `x < y`\n\n", "- one\n- two\n\n```c\nif (a < b && c)\n```\n",
         "| a | b |\n|---|---|\n| 1 | 2 |\n\n[link](https://example.org/?a=1&b=2) ~~gone~~ <br>"]))
    world.bot.say(alice, "format")
    world.wait_settled(1)
    [message] = world.bot.messages(alice)
    kinds = {e["type"] for e in message.entities}
    assert {"bold", "italic", "code", "pre", "text_link", "strikethrough"} <= kinds
    assert "<script> & x < y" in message.text and "if (a < b && c)" in message.text
    assert not any(c.code == 400 for c in world.bot.calls), "Telegram could parse all we sent"


def test_a_long_answer_comes_in_parts(world):
    world.serve()
    alice = world.bot.person(7)
    lines = [f"line {n} of a very long listing, with an emoji \U0001F600 and some more words" for n in range(200)]
    world.model.on("long", world.model.stream(["Here it is:\n\n```python\n"] + [f"{line}\n" for line in lines] + ["```\nDone."]))
    world.bot.say(alice, "long")
    world.wait_settled(1, 60)
    parts = world.bot.messages(alice)
    assert len(parts) >= 3
    assert all(len(p.text.encode("utf-16-le")) // 2 <= 4096 for p in parts)
    together = "\n".join(p.text for p in parts)
    assert [line for line in together.splitlines() if line.startswith("line ")] == lines
    assert all(any(e["type"] == "pre" for e in p.entities) for p in parts), "every part shows code as code"
    assert not any(c.code == 400 for c in world.bot.calls)


def test_a_group_is_answered_when_it_speaks_to_us(world):
    world.serve()
    group = world.bot.group(-100500, "Friends")
    ann = {"id": 11, "is_bot": False, "first_name": "Ann"}
    world.bot.say(group, "just among us", ann)
    world.bot.say(group, f"@{world.bot.user['username']} what is up?", ann)
    wait_until(lambda: world.bot.messages(group))
    world.wait_settled(1)
    [message] = world.bot.messages(group)
    assert message.text == "echo: what is up?" and message.reply_to == 2
    world.bot.say(group, "and again", ann, reply_to_message={
        "message_id": message.message_id, "from": world.bot.user, "chat": group.chat, "date": 1, "text": message.text})
    wait_until(lambda: len(world.bot.messages(group)) == 2)
    assert world.bot.texts(group)[1] == "echo: and again"
    assert "just among us" not in json.dumps([a.body for a in world.model.asks])


def test_topics_are_conversations_of_their_own(world):
    world.serve()
    forum = world.bot.group(-100600, "Forum", topics=[5, 6])
    ann = {"id": 11, "is_bot": False, "first_name": "Ann"}
    name = "@" + world.bot.user["username"]
    for topic in (5, 6):
        world.bot.say(forum, f"{name} in {topic}", ann, message_thread_id=topic, is_topic_message=True)
    world.wait_settled(2)
    assert {(m.thread_id, m.text) for m in world.bot.messages(forum)} == {(5, "echo: in 5"), (6, "echo: in 6")}
    assert world.one("SELECT count(*) FROM conversations") == 2


def test_an_edit_changes_a_message_that_still_waits(world):
    world.serve()
    alice = world.bot.person(7)
    world.model.on("first", world.model.stream(["wait", " for", " it"], pause=0.7), times=1)
    world.bot.say(alice, "first")
    wait_until(lambda: world.model.asks)
    second = world.bot.say(alice, "secnod")["message"]
    wait_until(lambda: world.one("SELECT count(*) FROM requests") == 2)
    world.bot.edit(alice, second["message_id"], "second")
    wait_until(lambda: len(world.bot.messages(alice)) == 2 and world.settled())
    assert world.bot.texts(alice) == ["wait for it", "echo: second"]


def test_an_attachment_is_noted(world):
    world.serve()
    alice = world.bot.person(7)
    world.bot.say(alice, None, photo=[{"file_id": "f1", "file_unique_id": "u1", "width": 90, "height": 90, "file_size": 1000}],
                  caption="what is this?")
    world.wait_settled(1)
    [message] = world.bot.messages(alice)
    assert "what is this?" in message.text
    assert "photo" in world.model.asks[0].last.lower()


# --- when sending is refused -------------------------------------------------------------------------------------

def test_too_many_requests_are_obeyed(world):
    world.serve()
    alice = world.bot.person(7)
    world.bot.inject("sendMessage", Fault.too_many(2))
    world.bot.say(alice, "hello")
    world.expect_answers(alice, ["hello"])
    first, second = [c.at for c in world.bot.calls_of("sendMessage")]
    assert second - first >= 2


def test_one_chats_limit_is_not_anothers(world):
    world.serve()
    alice, bob = world.bot.person(7), world.bot.person(8)
    world.bot.inject("sendMessage", Fault.too_many(5, when=lambda p: p.int("chat_id") == 7))
    world.bot.say(alice, "limited")
    wait_until(lambda: any(c.code == 429 for c in world.bot.calls))
    world.bot.say(bob, "free")
    wait_until(lambda: world.bot.texts(bob) == ["echo: free"], 4)
    world.expect_answers(alice, ["limited"])


@pytest.mark.parametrize("fault", [Fault("lost_before"), Fault("lost_after")], ids=lambda f: f.kind)
def test_an_unknown_outcome_is_said_and_can_be_repeated(world, fault):
    """Telegram has no idempotency keys: what may have been sent is not sent again unasked."""
    gateway = world.serve()
    alice = world.bot.person(7)
    world.bot.inject("sendMessage", fault)
    world.bot.say(alice, "hello")
    world.wait_settled(1)
    wait_until(lambda: any("/again" in t for t in world.bot.texts(alice)), what="the person is told")
    seen = world.bot.texts(alice)
    assert seen[:-1] == (["echo: hello"] if fault.kind == "lost_after" else []) and "/again" in seen[-1]
    assert world.one("SELECT status FROM deliveries") == "unknown"
    assert gateway.metric("parley_deliveries_total", outcome="unknown") == 1
    world.bot.say(alice, "/again")
    wait_until(lambda: world.bot.texts(alice)[len(seen):] == ["echo: hello"])


def test_a_server_error_of_telegram_is_survived(world):
    gateway = world.serve()
    alice = world.bot.person(7)
    world.bot.inject("sendMessage", Fault("html"))
    world.bot.say(alice, "hello")
    world.wait_settled(1)
    wait_until(lambda: (texts := world.bot.texts(alice)) and (texts == ["echo: hello"] or "/again" in texts[-1]),
               what="sent later, or said that it may be missing")
    world.bot.say(alice, "still there?")
    wait_until(lambda: world.bot.texts(alice)[-1] == "echo: still there?")
    assert gateway.alive()


def test_a_person_who_blocked_us_is_left_alone(world):
    gateway = world.serve()
    alice, bob = world.bot.person(7), world.bot.person(8)
    world.bot.block(alice)
    world.bot.say(alice, "hello")
    world.wait_settled(1)
    assert world.one("SELECT status FROM deliveries") == "dead"
    assert len(world.bot.calls_of("sendMessage")) == 1, "not tried again"
    world.bot.unblock(alice)
    world.bot.say(bob, "hi")
    world.bot.say(alice, "back again")
    wait_until(lambda: world.bot.texts(alice) == ["echo: back again"] and world.bot.texts(bob) == ["echo: hi"])
    assert gateway.alive()


def test_a_group_that_becomes_a_supergroup_keeps_its_conversation(world):
    world.serve()
    group = world.bot.group(-40, "Old", kind="group")
    ann = {"id": 11, "is_bot": False, "first_name": "Ann"}
    name = "@" + world.bot.user["username"]
    world.bot.say(group, f"{name} one", ann)
    wait_until(lambda: world.bot.texts(group) == ["echo: one"])
    world.wait_settled(1)
    new = world.bot.migrate(group, -1001234)
    world.bot.say(group, None, ann, migrate_to_chat_id=-1001234)
    world.bot.say(new, None, ann, migrate_from_chat_id=-40)
    world.bot.say(new, f"{name} two", ann)
    wait_until(lambda: world.bot.texts(new) == ["echo: two"])
    assert ("assistant", "echo: one") in world.model.asks[-1].history
    assert world.one("SELECT count(*) FROM conversations") == 1


def test_an_answer_follows_a_group_that_moved_meanwhile(world):
    world.serve()
    group = world.bot.group(-40, "Old", kind="group")
    ann = {"id": 11, "is_bot": False, "first_name": "Ann"}
    world.model.on("slow", world.model.stream(["an ", "answer"], pause=1))
    world.bot.say(group, f"@{world.bot.user['username']} slow", ann)
    wait_until(lambda: world.model.asks)
    new = world.bot.migrate(group, -1001234)
    wait_until(lambda: world.bot.texts(new) == ["an answer"])


# --- operation ---------------------------------------------------------------------------------------------------

def test_sigterm_lets_a_running_answer_finish(world):
    gateway = world.serve()
    alice = world.bot.person(7)
    world.model.on("slow", world.model.stream(["one ", "two ", "three"], pause=0.6))
    world.bot.say(alice, "slow")
    wait_until(lambda: world.model.asks)
    gateway.signal(signal.SIGTERM)
    wait_until(lambda: gateway.get("/readyz").status == 503, what="a draining process is not ready")
    assert gateway.process.wait(30) == 0
    assert world.bot.texts(alice) == ["one two three"]
    world.wait_settled(1)


def test_sigterm_hands_over_what_takes_too_long(world):
    gateway = world.serve(gateway={"drain": "1s"})
    alice = world.bot.person(7)
    world.model.on("endless", world.model.endless(), times=1)
    world.bot.say(alice, "endless")
    wait_until(lambda: world.model.asks)
    assert gateway.stop() == 0
    assert world.one("SELECT status FROM requests") == "queued"
    gateway.start()
    wait_until(lambda: world.bot.texts(alice) and world.bot.texts(alice)[-1] == "echo: endless")


def test_what_arrives_during_a_restart_is_answered(world):
    gateway = world.serve()
    alice = world.bot.person(7)
    world.bot.say(alice, "before")
    world.expect_answers(alice, ["before"])
    gateway.stop()
    world.bot.say(alice, "while away")
    wait_until(lambda: len(world.bot.deliveries) >= 2, what="refused once at least")
    gateway.start()
    world.expect_answers(alice, ["before", "while away"])


def test_sighup_applies_what_can_be_applied(world):
    gateway = world.serve()
    alice = world.bot.person(7)
    world.bot.say(alice, "one")
    world.expect_answers(alice, ["one"])
    gateway.settings["chat"]["rate_per_minute"] = 1
    gateway.settings["http"]["address"] = "127.0.0.2"
    gateway.write_conf()
    gateway.signal(signal.SIGHUP)
    gateway.wait_log(r"reloaded")
    assert gateway.logged(r"http\.address"), "it says what needs a restart"
    world.bot.say(alice, "two")
    world.bot.say(alice, "three")
    wait_until(lambda: any("can write again" in t for t in world.bot.texts(alice)))


def test_sighup_applies_whom_a_channel_serves(world):
    gateway = world.serve(channel={"allow": ["7"]})
    alice, bob = world.bot.person(7), world.bot.person(8)
    world.bot.say(bob, "not for me")
    world.bot.say(alice, "one")
    world.expect_answers(alice, ["one"])
    gateway.settings["channels"][-1]["allow"] = ["7", "8"]
    gateway.write_conf()
    gateway.signal(signal.SIGHUP)
    gateway.wait_log(r"reloaded")
    world.bot.say(bob, "for me")
    wait_until(lambda: world.bot.texts(bob) == ["echo: for me"])


def test_sighup_with_a_broken_file_changes_nothing(world):
    gateway = world.serve()
    alice = world.bot.person(7)
    gateway.conf_path.write_text("chat = { nonsense = 1; };")
    gateway.signal(signal.SIGHUP)
    gateway.wait_log(r"not reloaded")
    assert gateway.logged(r"parley\.conf:1.*nonsense")
    world.bot.say(alice, "hello")
    world.expect_answers(alice, ["hello"])


def test_health_and_metrics(world):
    gateway = world.serve()
    alice = world.bot.person(7)
    update = world.bot.say(alice, "hello")
    world.expect_answers(alice, ["hello"])
    post_update(gateway, update)
    world.bot.say(alice, "and again")  # the first one has no context to read
    world.expect_answers(alice, ["hello", "and again"])
    ready = gateway.get("/readyz").json
    assert ready["ready"] is True and ready["postgres"] == "up" and ready["redis"] == "up"
    metrics = gateway.get("/metrics").text
    for name in ("parley_requests_total", "parley_turn_seconds_bucket", "parley_flows", "parley_deliveries_total",
                 "parley_duplicates_dropped_total", "parley_context_reads_total"):
        assert name in metrics, name
    series = [line.rsplit(" ", 1)[0] for line in metrics.splitlines() if line and not line.startswith("#")]
    assert sorted({s for s in series if series.count(s) > 1}) == [], "a series stands there once"
    assert gateway.get("/nothing").status == 404
    assert gateway.post("/healthz", {}).status == 405


def test_check_says_what_works(world):
    gateway = world.gateway()
    good = gateway.run("check")
    assert good.returncode == 0, good.stdout + good.stderr
    assert world.bot.user["username"] in good.stdout
    world.bot.inject("getMe", Fault.error_of(401, "Unauthorized"))
    bad = gateway.run("check")
    assert bad.returncode != 0 and "support" in bad.stdout + bad.stderr


def limited(soft, hard):
    """In the child before exec: how many files it may open."""
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def files_line(gateway, preexec, **http):
    gateway.settings["http"].update(http)
    done = subprocess.run([BINARY, "check", "--config", gateway.write_conf()], env=gateway.environment(), text=True,
                          capture_output=True, timeout=60, preexec_fn=preexec)
    return next(line for line in done.stdout.splitlines() if "open files" in line)


def test_the_limit_of_files_is_raised(world):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    gateway = world.gateway(http={"connections_max": 1500})
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, soft), hard))
    try:
        gateway.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    limit = Path(f"/proc/{gateway.process.pid}/limits").read_text()
    assert int(re.search(r"Max open files\s+(\d+)", limit)[1]) > 2500, "1500 from people and 1000 to models"


def test_check_names_a_hard_limit_that_is_too_small(world):
    gateway = world.gateway()
    good = files_line(gateway, limited(1024, 5000), connections_max=1000)
    assert good.startswith("ok"), good
    bad = files_line(gateway, limited(1024, 5000), connections_max=3000)
    assert bad.startswith("warn") and " 5000 may be open" in bad and "http.connections_max" in bad, bad


@pytest.mark.parametrize("change, complaint", [
    ({"chat": {"rate_per_minuet": 3}}, r"rate_per_minuet.*rate_per_minute"),
    ({"chat": {"rate_per_minute": "many"}}, r"rate_per_minute"),
    ({"nonsense": {"a": 1}}, r"nonsense"),
    ({"http": {"port": 70000}}, r"port"),
    ({"models": [{"name": "m", "type": "openai", "base_url": "http://127.0.0.1:1", "api_key": "env:NOT_SET"}]}, r"NOT_SET"),
    ({"models": [{"name": "m", "type": "openai", "base_url": "http://127.0.0.1:1", "api_key": "sk-literal"}]}, r"key"),
    ({"models": [{"name": "m", "type": "oracle"}]}, r"oracle"),
    ({"channels": [{"name": "x", "type": "pigeon"}]}, r"pigeon"),
])
def test_a_wrong_configuration_is_refused_by_file_line_and_key(world, change, complaint):
    gateway = world.gateway()
    for section, value in change.items():
        if isinstance(value, dict):
            gateway.settings.setdefault(section, {}).update(value)
        else:
            gateway.settings[section] = value
    done = gateway.run("serve")
    assert done.returncode == 2
    assert re.search(r"parley\.conf:\d+: .*" + complaint, done.stderr), done.stderr
    assert "sk-literal" not in done.stderr
