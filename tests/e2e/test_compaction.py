"""A conversation that outgrows what a model is shown is summarised, openly and reversibly."""
import pytest

from test_commands import say
from test_money import PRICES, dollars, priced

NOTES = "- the colour is vermilion"


@pytest.fixture
def alice(world):
    world.serve(chat={"compact": True, "history_messages": 8})
    world.model.on("You: echo:", world.model.plain(NOTES))  # the transcript that is to be summarised
    return world.bot.person(7)


def history(world):
    return world.model.asks[-1].history


def system(world):
    return "\n".join(m["content"] for m in world.model.asks[-1].body["messages"] if m["role"] == "system")


def talk(world, alice, n):
    return [say(world, alice, f"message {i}") for i in range(n)]


def test_the_older_half_becomes_a_summary(world, alice):
    answers = talk(world, alice, 5)
    assert ["summary" in a for a in answers] == [False] * 4 + [True], "told once, when it happens"
    assert "/undo compaction takes that back" in answers[-1]
    summarised = world.model.asks[-2].body["messages"]
    assert "Person: message 0" in summarised[-1]["content"] and "message 2" not in summarised[-1]["content"]
    assert NOTES in system(world), "the model is given it"
    assert history(world)[0] == ("user", "message 2") and len(history(world)) == 5
    say(world, alice, "one more")
    assert NOTES in system(world) and history(world)[0] == ("user", "message 2")
    assert "what was before them is a summary" in say(world, alice, "/why")
    assert world.one("SELECT summary_until FROM conversations") == 4
    assert world.one("SELECT count(*) FROM messages WHERE role IN ('user', 'assistant')") == 12, "the messages stay"
    assert world.one("SELECT count(*) FROM cost_records") == 7, "it is on the bill"


def test_the_next_summary_holds_the_last_one(world, alice):
    talk(world, alice, 8)
    summaries = [a.last for a in world.model.asks if "You: echo:" in a.last]
    assert len(summaries) == 2 and f"Your notes of what was before:\n{NOTES}" in summaries[1]
    assert "Person: message 2" in summaries[1] and "Person: message 1" not in summaries[1]


def test_it_is_taken_back(world, alice):
    talk(world, alice, 5)
    assert "summary is gone" in say(world, alice, "/undo compaction")
    say(world, alice, "and now?")
    assert NOTES not in system(world) and history(world)[0] == ("user", "message 1"), "the latest eight themselves"
    assert "summary" not in " ".join(talk(world, alice, 6))
    assert "`/undo compaction`" in say(world, alice, "/undo") or "/undo compaction" in say(world, alice, "/undo")
    assert "I summarise its older part" in say(world, alice, "/compact")
    assert "summary" in say(world, alice, "again")


def test_a_summary_that_fails_is_done_without(world, alice):
    world.model.on("You: echo:", world.model.status(400, {"error": {"message": "no", "type": "invalid_request_error"}}))
    answers = talk(world, alice, 6)
    assert answers == [f"echo: message {i}" for i in range(6)]
    assert world.one("SELECT summary FROM conversations") is None


def test_the_next_model_of_the_route_writes_the_summary(world):
    models = [dict(priced(world, tries=1)[0], name=name, model=f"real-{name}") for name in ("first", "second")]
    world.serve(chat={"compact": True, "history_messages": 8}, models=models, routes=[{"name": "safe", "models": ["first", "second"]}])

    async def behave(request, ask):
        failing = world.model.broken(503) if ask.body["model"] == "real-first" else world.model.plain(NOTES)
        return await failing(request, ask)
    world.model.on("You: echo:", behave)
    assert "summary" in talk(world, world.bot.person(7), 5)[-1]
    assert world.one("SELECT summary FROM conversations") == NOTES
    assert world.sql("SELECT model, failed FROM cost_records WHERE model = 'second' OR failed IS NOT NULL ORDER BY id") == [
        ("first", "io"), ("second", None)]


def under_a_budget(world, day):
    world.serve(chat={"compact": True, "history_messages": 8}, models=priced(world, **PRICES), budgets=[{"for": "all", "day": day}])
    world.model.on("You: echo:", world.model.plain(NOTES))
    return world.bot.person(7)


def test_its_money_is_set_aside_and_spent(world):
    alice = under_a_budget(world, "9")
    assert "summary" in talk(world, alice, 5)[-1]
    assert world.one("SELECT count(*) FROM cost_records") == 6
    [(spent, reserved)] = world.sql("SELECT spent, reserved FROM budgets")
    assert float(spent) == pytest.approx(dollars(world)) and reserved == 0


def test_a_budget_without_room_for_it_leaves_the_older_part_out(world):
    alice = under_a_budget(world, "0.8")  # it may cost 800 tokens, an answer only 100
    assert talk(world, alice, 5) == [f"echo: message {i}" for i in range(5)]
    assert len(world.model.asks) == 5 and world.one("SELECT summary FROM conversations") is None
    assert world.one("SELECT reserved FROM budgets") == 0


def test_what_has_no_price_is_not_asked_for_one_under_a_budget(world):
    world.serve(chat={"compact": True, "history_messages": 8}, models=priced(world))
    alice = world.bot.person(7)
    talk(world, alice, 4)
    world.gateways[-1].stop()
    world.serve(chat={"compact": True, "history_messages": 8}, models=priced(world), budgets=[{"for": "all", "day": "9"}])
    assert "no price" in say(world, alice, "message 4")
    assert len(world.model.asks) == 4


def test_it_is_off_unless_somebody_wants_it(world):
    world.serve(chat={"history_messages": 8})
    alice = world.bot.person(7)
    talk(world, alice, 7)
    assert len(world.model.asks) == 7
    assert "switched off" in say(world, alice, "/compact")
