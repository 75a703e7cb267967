"""Answers that are given again to the same question."""
from contextlib import contextmanager

import pytest

from fakes.mcp import FakeMcp
from harness.search import traces
from harness.wait import stays, wait_until
from test_commands import say
from test_people import code_in


def n_asked(world):
    return len(world.model.asks)


def n_kept(world):
    return world.one("SELECT count(*) FROM response_cache")


def first_answer(world, chat, text="the same"):
    """Asked of the model, and kept."""
    kept = n_kept(world)
    assert say(world, chat, text) == f"echo: {text}"
    wait_until(lambda: n_kept(world) == kept + 1, what="the answer is kept")


@contextmanager
def locked(world, table):
    """Whoever wants to read or write it has to wait."""
    connection = world.servers.connect(world.database)
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield
    connection.close()


def test_the_second_time_no_model_is_asked(world):
    world.serve(chat={"cache": "person"})
    alice = world.bot.person(7)
    first_answer(world, alice)
    say(world, alice, "/new")
    assert say(world, alice, "the same") == "echo: the same"
    assert n_asked(world) == 1
    assert world.one("SELECT hit_count FROM response_cache") == 1
    assert world.sql("SELECT model_used, prompt_tokens, completion_tokens FROM requests WHERE status = 'answered'"
                     " AND model_used <> '' ORDER BY id")[-1] == ("test", 0, 0)
    assert world.one("SELECT count(*) FROM cost_records") == 1, "it costs nothing"
    why = say(world, alice, "/why")
    made_at = world.one("SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI') FROM response_cache")
    assert f"it is the cached answer of test, made at {made_at}" in why, why


def test_a_hit_is_history_for_what_follows(world):
    world.serve(chat={"cache": "person"})
    alice = world.bot.person(7)
    first_answer(world, alice)
    say(world, alice, "/new")
    say(world, alice, "the same")
    say(world, alice, "and then")
    assert "echo: the same" in str(world.model.asks[-1].body["messages"])
    assert say(world, alice, "the same") == "echo: the same"
    assert n_asked(world) == 3, "with another history it is another question"


def test_other_tools_are_another_question(world):
    """What a model may call may change what it answers."""
    server = FakeMcp().start()
    gateway = world.serve(chat={"cache": "person", "history_tokens": 0})
    alice = world.bot.person(7)
    first_answer(world, alice)
    gateway.stop()
    world.serve(chat={"cache": "person", "history_tokens": 0}, tools=[{"name": "srv", "url": server.address}])
    assert say(world, alice, "the same") == "echo: the same"
    assert n_asked(world) == 2, "not the answer of a model without tools"
    first_answer(world, alice, "another")  # they are known by now
    assert say(world, alice, "another") == "echo: another"
    assert n_asked(world) == 3
    server.stop()


def test_it_is_off_by_default(world):
    world.serve()
    alice = world.bot.person(7)
    say(world, alice, "the same")
    say(world, alice, "/new")
    say(world, alice, "the same")
    assert n_asked(world) == 2
    stays(lambda: n_kept(world) == 0)


@pytest.mark.parametrize("scope, asked", [("person", 2), ("channel", 1)])
def test_another_person(world, scope, asked):
    world.serve(chat={"cache": scope})
    first_answer(world, world.bot.person(7))
    assert say(world, world.bot.person(8), "the same") == "echo: the same"
    assert n_asked(world) == asked


def test_in_a_group_a_person_is_who_asks(world):
    """One conversation of two people, with nothing of its history told: what one has asked is not the other's."""
    world.serve(chat={"cache": "person", "history_tokens": 0})
    group, name = world.bot.group(-100500, "Friends"), world.bot.user["username"]
    ann, bob = ({"id": n, "is_bot": False, "first_name": "Somebody"} for n in (1, 2))
    for n, (who, asked) in enumerate(((ann, 1), (bob, 2), (ann, 2), (bob, 2)), 1):
        world.bot.say(group, f"@{name} the same", who)
        wait_until(lambda: len(world.bot.messages(group)) == n and world.settled())
        wait_until(lambda: n_kept(world) == asked, what=f"answers kept after {n} questions")
        assert n_asked(world) == asked


def test_it_is_kept_for_a_while_only(world):
    world.serve(chat={"cache": "person", "cache_ttl": "1s"})
    alice = world.bot.person(7)
    first_answer(world, alice)
    wait_until(lambda: n_kept(world) == 0, what="it is purged")
    say(world, alice, "/new")
    first_answer(world, alice)
    assert n_asked(world) == 2


def test_regenerate_asks_and_replaces(world):
    world.serve(chat={"cache": "person"})
    alice = world.bot.person(7)
    first_answer(world, alice)
    world.model.on("the same", world.model.stream(["another answer"]), times=1)
    assert say(world, alice, "/regenerate") == "another answer"
    wait_until(lambda: world.sql("SELECT content, hit_count FROM response_cache") == [("another answer", 0)])
    say(world, alice, "/new")
    assert say(world, alice, "the same") == "another answer"
    assert n_asked(world) == 2


def test_half_an_answer_is_not_kept(world):
    world.serve(chat={"cache": "person"})
    alice = world.bot.person(7)
    world.model.on("cut", world.model.stream(["Once ", "upon ", "a time"], cut_after=2))
    say(world, alice, "cut")
    say(world, alice, "/help")
    stays(lambda: n_kept(world) == 0)


def test_a_stopped_answer_is_not_kept(world):
    world.serve(chat={"cache": "person", "preview_after": "100ms"})
    alice = world.bot.person(7)
    world.model.on("long", world.model.endless(0.05))
    world.bot.say(alice, "long")
    wait_until(lambda: world.bot.texts(alice), what="a preview")
    say(world, alice, "/stop")
    world.wait_settled()
    stays(lambda: n_kept(world) == 0)


def test_forget_takes_it_along(world):
    world.serve(chat={"cache": "person"})
    alice = world.bot.person(7)
    world.model.on("my secret", world.model.stream(["secretive"]))
    say(world, alice, "my secret")
    wait_until(lambda: n_kept(world) == 1)
    query_hash = world.one("SELECT query_hash FROM response_cache")
    say(world, alice, f"/forget {code_in(say(world, alice, '/forget'))}")
    wait_until(lambda: not traces(world, ["secret", query_hash]), what="no trace of it")
    assert n_kept(world) == 0


def test_two_processes_share_it(world):
    first, second = [world.gateway(chat={"cache": "person"}).start() for _ in range(2)]
    alice = world.bot.person(7)
    world.hook(first)
    first_answer(world, alice)
    say(world, alice, "/new")
    world.hook(second)
    assert say(world, alice, "the same") == "echo: the same"
    assert n_asked(world) == 1
    assert second.metric("parley_answer_cache_total", result="hit") == 1


def test_a_slow_lookup_is_not_waited_for(world):
    world.serve(chat={"cache": "person"})
    alice = world.bot.person(7)
    first_answer(world, alice)
    say(world, alice, "/new")
    with locked(world, "response_cache"):
        assert say(world, alice, "the same") == "echo: the same"
    assert n_asked(world) == 2
