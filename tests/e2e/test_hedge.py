"""A second model beside one that is slow to begin: who answers, who is stopped, and what it costs."""
import asyncio

import pytest

from harness.wait import wait_until
from test_commands import say
from test_money import PRICES, dollars

SLOW = 1.8  # seconds until the first model's first word, when it is slow


@pytest.fixture
def hedged(world):
    """A route of two models behind one server. Of questions with "slow" in them the first model takes its time."""
    async def behave(request, ask):
        name = ask.body["model"].removeprefix("real-")
        for _ in range(int(SLOW * 50) if "slow" in ask.last and name == "first" else 0):
            if request.transport is None or request.transport.is_closing():
                raise ConnectionResetError("stopped")
            await asyncio.sleep(0.02)
        return await world.model.stream([f"{name}: ", ask.last])(request, ask)
    world.model.on("", behave)

    def serve(names=("first", "second"), budgets=(), prices=PRICES, **route):
        models = [{"name": name, "type": "openai", "base_url": world.model.base, "api_key": "env:MODEL_KEY", "model": f"real-{name}",
                   "tries": 1, "context_tokens": 8000, "max_tokens": 100, **prices} for name in ("first", "second")]
        world.serve(models=models, budgets=list(budgets), chat={"history_messages": 0},
                    routes=[{"name": "quick", "models": list(names), "hedge": True, "hedge_delay": "400ms", **route}])
        return world.bot.person(7)
    return serve


def asked(world):
    return [ask.body["model"] for ask in world.model.asks]


def test_the_quicker_one_answers_and_the_other_is_stopped(world, hedged):
    alice = hedged()
    assert say(world, alice, "quick one") == "first: quick one" and asked(world) == ["real-first"]
    assert say(world, alice, "slow one") == "second: slow one"
    assert asked(world) == ["real-first", "real-first", "real-second"]
    wait_until(lambda: world.model.asks[1].cancelled, what="nobody pays for what nobody reads")
    told = say(world, alice, "/why")
    assert "Answered by second, by the route quick" in told, told
    assert "first (openai) was slower and was stopped: in all 0." in told and "second (openai), asked as well, answered: first words" in told
    assert world.sql("SELECT model, estimated, prompt_tokens > 0, completion_tokens FROM cost_records ORDER BY id")[1:] in (
        [("first", True, True, 0), ("second", False, True, 2)], [("second", False, True, 2), ("first", True, True, 0)])
    assert world.one("SELECT model_used FROM requests WHERE id = (SELECT request_id FROM cost_records WHERE model = 'second')") == "second"
    assert world.gateways[0].metric("parley_hedges_total", outcome="won") == 1


def test_without_being_told_nobody_is_asked_twice(world, hedged):
    alice = hedged(hedge=False)
    assert say(world, alice, "slow one") == "first: slow one" and asked(world) == ["real-first"]


def test_a_flag_switches_it_off(world, hedged):
    alice = hedged()
    world.sql("SELECT admin_flags_set('{}', '{\"name\": \"hedged_requests\", \"value\": false}')")
    world.redis.publish("parley:flags", "")
    wait_until(lambda: say(world, alice, f"slow one {len(world.model.asks)}").startswith("first: slow one"), what="the flag is in force")
    assert asked(world)[-1] == "real-first"


def test_late_is_what_the_model_itself_makes_it(world, hedged):
    """No delay is configured: its own twenty answers say when it is late."""
    alice = hedged(hedge_delay="0s")
    assert say(world, alice, "slow zero") == "first: slow zero", "nothing is known yet"
    for i in range(20):
        assert say(world, alice, f"quick {i}") == f"first: quick {i}"
    assert say(world, alice, "slow one") == "second: slow one"


def test_a_budget_of_hedges(world, hedged):
    alice = hedged()
    texts = [say(world, alice, f"slow {i}") for i in range(2)]
    assert texts == ["second: slow 0", "first: slow 1"], "the next one needs twenty questions more"
    assert world.gateways[0].metric("parley_hedges_total", outcome="no_budget") == 1


def test_one_model_is_asked_again(world, hedged):
    alice = hedged(names=["first"])
    again = iter([SLOW, 0])

    async def behave(request, ask):
        await asyncio.sleep(next(again))
        return await world.model.stream(["well"])(request, ask)
    world.model.on("hm", behave)
    assert say(world, alice, "hm") == "well" and asked(world) == ["real-first"] * 2


@pytest.mark.parametrize("day, n", [("0.50", 2), ("0.20", 1)])
def test_money_for_both_or_no_second_one(world, hedged, day, n):
    """A question may cost 15 cents: both together, or the first one alone."""
    alice = hedged(budgets=[{"for": "all", "day": day}])
    assert say(world, alice, "slow one") == ("second: slow one" if n == 2 else "first: slow one")
    assert len(world.model.asks) == n and dollars(world) <= float(day)
    assert world.one("SELECT count(*) FROM cost_records") == n
    assert world.sql("SELECT spent::float8, reserved::float8 FROM budgets") == [(pytest.approx(dollars(world)), 0)]
    assert world.gateways[0].metric("parley_hedges_total", outcome="no_money") == 2 - n


def test_an_answer_that_is_stopped_while_both_are_asked(world, hedged):
    alice = hedged(budgets=[{"for": "all", "day": "1"}])
    world.model.on("never", world.model.silent())
    world.bot.say(alice, "never")
    wait_until(lambda: len(world.model.asks) == 2)
    world.bot.say(alice, "/stop")
    world.wait_settled(2)
    wait_until(lambda: all(ask.cancelled for ask in world.model.asks))
    assert world.sql("SELECT model, estimated FROM cost_records ORDER BY model") == [("first", True), ("second", True)]
    assert world.sql("SELECT spent::float8, reserved::float8 FROM budgets") == [(pytest.approx(dollars(world)), 0)]
