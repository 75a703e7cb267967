"""One person, many channels: linking, going on elsewhere, getting and erasing all that is kept; and being let in."""
import re

import pytest

from harness.search import in_postgres, in_redis, traces
from harness.slack import Workspace
from harness.wait import stays, wait_until
from test_main_job import post_update


def code_in(text):
    return re.search(r"([0-9A-Z]{4}-[0-9A-Z]{4})", text).group(1)


class Two:
    """Ada in Telegram and in Slack."""

    def __init__(self, world):
        self.world = world
        self.room = Workspace(world)
        self.ada = world.bot.person(7, first_name="Adaline", username="ada_l")
        self.gateway = None

    def close(self):
        self.room.close()

    def make(self, telegram=None, **sections):
        gateway = self.world.gateway("webhook", **sections)
        slack = self.room.gateway(**sections)
        gateway.settings["channels"] = gateway.settings["channels"] + slack.settings["channels"][-1:]
        gateway.settings["channels"][1].update(telegram or {})
        gateway.env.update(slack.env)
        return gateway

    def serve(self, **more):
        self.gateway = self.make(**more).start()
        self.hook()
        return self.gateway

    def hook(self):
        self.world.hook(self.gateway)
        wait_until(lambda: self.room.slack.sockets)

    def telegram(self, text):
        """What comes back to a message in Telegram."""
        before = len(self.world.bot.messages(self.ada))
        self.world.bot.say(self.ada, text)
        wait_until(lambda: len(self.world.bot.messages(self.ada)) > before, what=f"an answer to {text!r}")
        return self.world.bot.messages(self.ada)[-1].text

    def slack(self, text):
        before = len(self.room.answers(self.room.dm))
        self.room.ask(text, self.room.dm)
        wait_until(lambda: len(self.room.answers(self.room.dm)) > before, what=f"an answer to {text!r}")
        return self.room.answers(self.room.dm)[-1]

    def link(self):
        assert "same person" in self.telegram(f"/link {code_in(self.slack('/link'))}")


@pytest.fixture
def two(world):
    one = Two(world)
    yield one
    for gateway in world.gateways:
        gateway.close()
    one.close()


# --- the whole way ---------------------------------------------------------------------------------------------

def test_link_continue_export_forget(world, two):
    """Begun in Slack, continued in Telegram, exported, forgotten: then nothing is left in PostgreSQL or Redis."""
    gateway = two.serve()
    assert two.slack("my favourite colour is vermilion") == "echo: my favourite colour is vermilion"
    two.link()
    assert two.telegram("hello from telegram") == "echo: hello from telegram"
    listed = two.telegram("/continue")
    assert re.search(r"^1\. slack, .* ago: my favourite colour is vermilion", listed, re.M)
    assert "We go on here" in two.telegram("/continue 1")
    assert two.telegram("and what was it?") == "echo: and what was it?"
    assert world.model.asks[-1].history == [("user", "my favourite colour is vermilion"),
                                            ("assistant", "echo: my favourite colour is vermilion"), ("user", "and what was it?")]
    assert two.telegram("once more") == "echo: once more"
    assert len(world.model.asks[-1].history) == 5

    address = re.search(r"(http\S+/export/\w+)", two.telegram("/export")).group(1)
    assert address.startswith(gateway.url)
    export = gateway.get(address[len(gateway.url):])
    assert export.status == 200 and "attachment" in export.headers["Content-Disposition"]
    kept = export.json
    texts = [m["text"] for m in kept["messages"]]
    assert "my favourite colour is vermilion" in texts and "echo: once more" in texts
    assert {(d["channel_type"], d["channel_user_id"]) for d in kept["identities"]} == {("slack", two.room.alice), ("telegram", "7")}

    code = code_in(two.telegram("/forget"))
    assert "Nothing was erased" in two.telegram("/forget AAAA-AAAA")
    assert "is being erased" in two.telegram(f"/forget {code}")
    ids = [p["id"] for p in kept["people"]] + [c["id"] for c in kept["conversations"]]
    needles = ids + [two.room.alice, "ada_l", "Adaline", "vermilion", "hello from telegram", "once more", code]
    wait_until(lambda: world.one("SELECT count(*) FROM users") == 0, what="the person is gone")
    wait_until(lambda: not traces(world, needles), what="no trace is left", timeout=10)
    wait_until(lambda: world.one("SELECT count(*) FROM erasures") == 0)
    assert gateway.get(address[len(gateway.url):]).status == 404
    assert two.telegram("hello again") == "echo: hello again"
    assert world.model.asks[-1].history == [("user", "hello again")], "a first meeting"


# --- each of them ----------------------------------------------------------------------------------------------

def test_an_export_in_parts(world, two):
    """However much somebody has written, one document has a bound, and `older` leads on."""
    gateway = two.serve()
    two.telegram("hello")
    world.sql("""INSERT INTO messages (id, conversation_id, user_id, role, content)
        SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, c.id, c.user_id, 'user', 'old ' || n
        FROM conversations c, generate_series(1, 4500) n""")
    address = re.search(r"http\S+(/export/\w+)", two.telegram("/export")).group(1)
    texts, query = [], ""
    for part in range(3):
        kept = gateway.get(address + query).json
        assert len(kept["messages"]) <= 2000
        texts = [m["text"] for m in kept["messages"]] + texts
        query = kept["older"]
        assert bool(query) == (part < 2)
    assert texts[:4500] == [f"old {n}" for n in range(1, 4501)] and texts[4500] == "hello"
    assert gateway.get(address + "?before=yesterday").status == 400


def test_an_event_repeated_after_the_erasure(world, two):
    two.serve()
    update = world.bot.say(two.ada, "hello")
    wait_until(lambda: world.bot.texts(two.ada) == ["echo: hello"])
    world.wait_settled()
    two.telegram(f"/forget {code_in(two.telegram('/forget'))}")
    wait_until(lambda: world.one("SELECT count(*) FROM users") == 0)
    asked = len(world.model.asks)
    assert post_update(two.gateway, update).status == 200, "it is acknowledged like any repetition"
    assert two.telegram("a new one") == "echo: a new one"
    assert len(world.model.asks) == asked + 1
    assert world.sql("SELECT query FROM requests") == [("a new one",)]


def test_unlink(world, two):
    two.serve()
    assert "not linked" in two.telegram("/unlink")
    two.slack("in slack")
    two.link()
    two.telegram("in telegram")
    assert world.one("SELECT count(DISTINCT user_id) FROM identities") == 1
    assert "a person of your own" in two.telegram("/unlink")
    assert world.one("SELECT count(DISTINCT user_id) FROM identities") == 2
    assert "no other conversation" in two.telegram("/continue")
    rows = world.sql("""SELECT d.channel_type, m.content FROM messages m JOIN identities d ON d.user_id = m.user_id
                        WHERE starts_with(m.content, 'in ')""")
    assert set(rows) == {("slack", "in slack"), ("telegram", "in telegram")}
    assert two.telegram("still here") == "echo: still here"


def test_continue_and_back(world, two):
    two.serve()
    two.slack("one")
    two.link()
    two.telegram("/continue 1")
    two.telegram("two")
    assert "There is no such conversation" in two.slack("/continue 9")
    assert "Write `/continue`" in two.slack("/continue x") or "Write /continue" in two.slack("/continue x")
    two.slack("/continue 1")
    two.slack("three")
    assert [t for r, t in world.model.asks[-1].history if r == "user"] == ["one", "two", "three"]


def test_continue_keeps_the_order(world, two):
    """What is written right behind the command is answered after it, with the history."""
    two.serve()
    two.slack("one")
    two.link()
    for text in ("/continue 1", "two", "three"):
        world.bot.say(two.ada, text)
    wait_until(lambda: world.bot.messages(two.ada)[-1].text == "echo: three")
    assert [t for r, t in world.model.asks[-1].history if r == "user"] == ["one", "two", "three"]
    world.redis.flushdb()
    two.telegram("four")
    assert [t for r, t in world.model.asks[-1].history if r == "user"] == ["one", "two", "three", "four"]


def test_not_in_a_group(world, two):
    two.serve()
    for command in ("unlink", "continue", "export", "forget"):
        root = two.room.ask(f"/{command}")
        wait_until(lambda: two.room.answers(thread=root))
        assert "private chat" in two.room.answers(thread=root)[-1]


def test_forget_in_a_group(world, two):
    """What others wrote there stays."""
    bob = two.room.team.person()
    two.serve()
    root = two.room.ask("secret of alice")
    wait_until(lambda: two.room.answers(thread=root))
    two.room.ask("words of bob", who=bob, thread=root)
    wait_until(lambda: len(two.room.answers(thread=root)) == 2)
    world.wait_settled()
    code = code_in(two.slack("/forget"))
    two.slack(f"/forget {code}")
    wait_until(lambda: not traces(world, ["secret of alice", two.room.alice]), what="no trace of alice")
    assert [t for t, in world.sql("SELECT content FROM messages ORDER BY id")] == ["words of bob", "echo: words of bob"]
    two.room.ask("bob again", who=bob, thread=root)
    wait_until(lambda: len(two.room.answers(thread=root)) == 3)
    assert "secret" not in str(world.model.asks[-1].history)


def test_guessing_the_code(world, two):
    two.serve()
    code = code_in(two.telegram("/forget"))
    for _ in range(5):
        two.telegram("/forget AAAA-AAAA")
    assert "Too many wrong codes" in two.telegram(f"/forget {code}")
    stays(lambda: world.one("SELECT count(*) FROM users WHERE forget_at IS NOT NULL") == 0)


@pytest.mark.parametrize("step", ["erase.start", "erase.done", "list.done", "redis.start", "redis.done", "done.start", "done.done"])
def test_killed_while_erasing(world, two, step):
    two.gateway = two.make().start(PARLEY_ABORT_AT=f"eraser.{step}:{9 if step.startswith('erase') else 1}")
    two.hook()
    two.telegram("hello vermilion")
    code = code_in(two.telegram("/forget"))
    two.telegram(f"/forget {code}")
    two.gateway.wait_killed()
    two.gateway.start()
    wait_until(lambda: not traces(world, ["vermilion", "ada_l"]), what="no trace is left")
    wait_until(lambda: world.one("SELECT count(*) FROM users") == 0 and world.one("SELECT count(*) FROM erasures") == 0)


def test_erased_while_redis_is_away(own_servers, own_world):
    world, two = own_world, None
    two = Two(world)
    try:
        two.serve()
        two.telegram("hello vermilion")
        code = code_in(two.telegram("/forget"))
        own_servers.freeze_redis()
        two.telegram(f"/forget {code}")
        wait_until(lambda: not in_postgres(world, ["vermilion", "ada_l"]), 40, "nothing in PostgreSQL")
        own_servers.resume()
        wait_until(lambda: not in_redis(world, ["vermilion"]), 40, "nothing in Redis")
        wait_until(lambda: world.one("SELECT count(*) FROM erasures") == 0, 40)
    finally:
        for gateway in world.gateways:
            gateway.close()
        two.close()


def test_an_address_that_nobody_was_given(two):
    gateway = two.serve()
    for path in ("/export/" + "0" * 64, "/export/x", "/export/"):
        assert gateway.get(path).status == 404


# --- being let in ----------------------------------------------------------------------------------------------

def test_pairing(world, two):
    gateway = two.serve(telegram={"access": "pairing"})
    first = two.telegram("hello?")
    assert "an admin has let in" in first and not world.model.asks
    code = code_in(first)
    assert gateway.run("approve", "AAAA-AAAA").returncode == 1
    done = gateway.run("approve", code, "admin")
    assert done.returncode == 0 and "Adaline may write now, as an admin" in done.stdout
    assert gateway.run("approve", code).returncode == 1, "a code works once"
    assert two.telegram("hello!") == "echo: hello!"
    bob = world.bot.person(8, first_name="Bob")
    world.bot.say(bob, "me too?")
    wait_until(lambda: world.bot.messages(bob))
    bobs = code_in(world.bot.messages(bob)[-1].text)
    world.bot.say(bob, f"/approve {bobs}")
    wait_until(lambda: len(world.bot.messages(bob)) == 2)
    assert "you are no admin" in world.bot.messages(bob)[-1].text
    assert "Bob may write to me now" in two.telegram(f"/approve {bobs}")
    world.bot.say(bob, "and now?")
    wait_until(lambda: world.bot.messages(bob)[-1].text == "echo: and now?")
    assert two.slack("open here") == "echo: open here"


def test_pairing_goes_along_with_a_link(world, two):
    two.serve(telegram={"access": "pairing"})
    code = code_in(two.telegram("hello?"))
    assert two.gateway.run("approve", code).returncode == 0
    other = code_in(two.slack("/link"))
    two.telegram(f"/link {other}")
    assert two.telegram("still in") == "echo: still in"


def test_the_command_line_of_approve(two):
    gateway = two.make()
    assert gateway.run("approve").returncode == 2
    assert gateway.run("approve", "x", "y").returncode == 2
