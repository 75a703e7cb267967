"""Money when something is wrong: backends that lie about tokens, processes that die, lists that are not there yet."""
import re

import pytest

from harness.wait import stays, wait_until
from test_commands import say
from test_money import PRICES, dollars, priced


def usage_of(world, **usage):
    """An answer whose server says this about its tokens."""
    body = {"id": "x", "object": "chat.completion", "model": "m", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "well"}, "finish_reason": "stop"}], "usage": usage}
    return world.model.status(200, body)


@pytest.mark.parametrize("usage", [
    {"prompt_tokens": 10**15, "completion_tokens": 10**15}, {"prompt_tokens": 2**31, "completion_tokens": 1},
    {"prompt_tokens": -5, "completion_tokens": -7}, {"prompt_tokens": 10, "completion_tokens": 10, "cost": 999999.9},
    {"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 10**12}},
])
def test_a_server_that_lies_about_tokens_is_answered_for_all_the_same(world, usage):
    world.serve(models=priced(world, **PRICES), budgets=[{"for": "all", "month": "1000000"}])
    world.model.on("lie", usage_of(world, **usage))
    alice = world.bot.person(7)
    assert say(world, alice, "lie").startswith("well")
    assert world.one("SELECT count(*) FROM requests WHERE status = 'answered'") == 1
    assert world.one("SELECT count(*) FROM cost_records WHERE cost >= 0 AND prompt_tokens >= 0") == 1


def test_the_server_knows_best_what_it_cost(world):
    world.serve(models=priced(world, **PRICES))
    world.model.on("known", usage_of(world, prompt_tokens=10, completion_tokens=2, cost=0.0123))
    say(world, world.bot.person(7), "known")
    assert world.one("SELECT cost::text FROM cost_records") == "0.01230000"


def test_the_smallest_price_is_not_nothing(world):
    """Three billionths of a dollar: both books say the same, and not 0."""
    world.serve(models=priced(world, input_price="0.0001", output_price="0.0001"), budgets=[{"for": "all", "day": "1"}])
    world.model.on("cheap", usage_of(world, prompt_tokens=2, completion_tokens=1))
    say(world, world.bot.person(7), "cheap")
    assert world.one("SELECT cost > 0 FROM cost_records")
    assert world.sql("SELECT spent FROM budgets") == world.sql("SELECT sum(cost) FROM cost_records")


def test_a_process_killed_between_reserve_and_ask(world):
    """The request is claimed again and answered; what the dead one set aside comes back by itself."""
    models = priced(world, **PRICES, total_timeout="1s")
    gateway = world.gateway(models=models, budgets=[{"for": "all", "day": "1"}], chat={"lease": "1s"})
    gateway.spawn(PARLEY_ABORT_AT="turn.reserve.done")
    wait_until(lambda: gateway.ready())
    world.hook(gateway)
    alice = world.bot.person(7)
    world.bot.say(alice, "hello")
    gateway.wait_killed()
    assert world.one("SELECT count(*) FROM budget_reservations WHERE settled_at IS NULL") == 1
    gateway.start()
    world.hook(gateway)
    wait_until(lambda: world.bot.texts(alice) == ["echo: hello"])
    world.wait_settled(1)
    world.sql("UPDATE budget_reservations SET lease_until = now() WHERE settled_at IS NULL")
    wait_until(lambda: world.one("SELECT reserved FROM budgets") == 0)
    assert world.sql("SELECT spent FROM budgets") == world.sql("SELECT sum(cost) FROM cost_records")


def test_a_process_killed_between_the_answer_and_the_books(world):
    """The model has answered and wants its money, but nobody can say how much it was."""
    gateway = world.gateway(models=priced(world, **PRICES), budgets=[{"for": "all", "day": "1"}], chat={"lease": "1s"})
    world.model.delay = 0.3  # longer than it takes PostgreSQL to note that it was asked
    gateway.spawn(PARLEY_ABORT_AT="turn.ask.done")
    wait_until(lambda: gateway.ready())
    world.hook(gateway)
    alice = world.bot.person(7)
    world.bot.say(alice, "hello")
    gateway.wait_killed()
    gateway.start()
    world.hook(gateway)
    wait_until(lambda: world.bot.texts(alice) == ["echo: hello"])
    world.wait_settled(1)
    assert world.one("SELECT count(*) FROM cost_records") == 1 and len(world.model.asks) == 2
    world.sql("UPDATE budget_reservations SET lease_until = now() WHERE settled_at IS NULL")
    wait_until(lambda: world.one("SELECT reserved FROM budgets") == 0)
    assert world.sql("SELECT pricing_version, request_id IS NOT NULL FROM cost_records ORDER BY created_at") == [
        ("configuration", True), ("assumed", True)]
    assert world.sql("SELECT spent FROM budgets") == world.sql("SELECT sum(cost) FROM cost_records")


@pytest.mark.parametrize("point", ["turn.charge.done", "turn.keep.start", "turn.keep.done"])
def test_a_process_killed_around_the_commit_spends_what_it_asked(world, point):
    """A question that was asked twice costs twice; the record is that of the answer."""
    gateway = world.gateway(models=priced(world, **PRICES), budgets=[{"for": "all", "day": "1"}], chat={"lease": "1s"})
    gateway.spawn(PARLEY_ABORT_AT=point)
    wait_until(lambda: gateway.ready())
    world.hook(gateway)
    alice = world.bot.person(7)
    world.bot.say(alice, "hello")
    gateway.wait_killed()
    gateway.start()
    world.hook(gateway)
    if point == "turn.keep.done":  # as the first byte of the answer is about to leave
        wait_until(lambda: any("/again" in text for text in world.bot.texts(alice)))
    else:
        wait_until(lambda: world.bot.texts(alice) == ["echo: hello"])
    world.wait_settled(1)
    asked = len(world.model.asks)
    n, each = world.sql("SELECT count(*), max(cost) FROM cost_records")[0]
    assert n == 1, "of the answer that was kept"
    assert world.one("SELECT spent FROM budgets") == each * asked, "of all that was asked"


def test_the_first_question_does_not_come_too_early_for_the_list(world, tmp_path):
    """The price is in the list, and the list is being read while the process starts."""
    budgets = [{"for": "all", "day": "5"}]
    gateway = world.gateway("poll", budgets=budgets)
    path = tmp_path / "list.json"
    path.write_text('{"test-model": {"input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06}}')
    assert gateway.run("prices", "import", str(path)).returncode == 0
    connection = world.servers.connect(world.database)
    connection.autocommit = False
    connection.cursor().execute("LOCK TABLE prices")  # PostgreSQL is slow today
    alice = world.bot.person(7)
    gateway.start()
    world.bot.say(alice, "early")
    wait_until(lambda: world.one("SELECT count(*) FROM requests"))
    stays(lambda: not world.bot.texts(alice), 1)
    connection.rollback()
    connection.close()
    wait_until(lambda: world.bot.texts(alice) == ["echo: early"])


def test_an_interrupted_question_is_paid_for_and_has_to_fit(world):
    """Each interruption asks anew: what was asked before is spent, and the next one needs money of its own."""
    world.serve(models=priced(world, **PRICES, max_tokens=50), chat={"queue": "interrupt"}, budgets=[{"for": "all", "day": "0.25"}])
    alice = world.bot.person(7)
    world.model.on("wait", world.model.endless(0.05))
    for i in range(12):
        asked = len(world.model.asks)
        world.bot.say(alice, f"no, wait {i}")
        try:
            wait_until(lambda: len(world.model.asks) > asked, 3)
        except AssertionError:
            break
    world.bot.say(alice, "/stop")
    world.wait_settled()
    assert dollars(world) <= 0.25 * 2, f"${dollars(world)} by {len(world.model.asks)} questions"


def test_stop_and_refusals_take_nothing_for_good(world):
    world.serve(models=priced(world, **PRICES, tries=1), budgets=[{"for": "all", "day": "1"}])
    alice = world.bot.person(7)
    world.model.on("broken", world.model.broken(503))
    assert "could not get an answer" in say(world, alice, "broken")
    assert world.sql("SELECT spent, reserved FROM budgets") == [(0, 0)]
    assert world.sql("SELECT cost = 0, failed FROM cost_records") == [(True, "io")], "who refuses takes no money"
    text = say(world, alice, "/budget")
    assert re.search(r"\$0\.00 of \$1\.00", text), text
    stays(lambda: world.one("SELECT reserved FROM budgets") == 0, 1)
