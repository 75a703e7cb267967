"""What answers cost, and budgets that are not overshot."""
import json
import re
import time

import pytest

from harness.search import traces
from harness.wait import stays, wait_until
from harness.webclient import Person, new_thread
from test_commands import say

PRICES = {"input_price": "1000", "output_price": "1000"}  # a thousandth of a dollar a token


def priced(world, **more):
    return [{"name": "test", "type": "openai", "base_url": world.model.base, "api_key": "env:MODEL_KEY", "model": "test-model",
             "context_tokens": 8000, "max_tokens": 100, **more}]


def dollars(world):
    return float(world.one("SELECT coalesce(sum(cost), 0) FROM cost_records"))


def test_each_answer_leaves_a_record(world):
    world.serve(models=priced(world, **PRICES))
    alice = world.bot.person(7)
    say(world, alice, "hello")
    ask = world.model.asks[0]
    n_prompt = sum(len(m["content"]) for m in ask.body["messages"]) // 4
    assert world.sql("SELECT provider, model, prompt_tokens, completion_tokens, cost::text, pricing_version, estimated FROM cost_records") == [
        ("openai", "test", n_prompt, 2, f"{(n_prompt + 2) / 1000:.8f}", "configuration", False)]
    assert world.one("SELECT total_cost::text FROM requests WHERE model_used = 'test'") == f"{(n_prompt + 2) / 1000:.8f}"
    assert re.search(r"tokens, \$0\.0\d+", say(world, alice, "/why")), "the receipt tells it"
    assert world.one("SELECT count(*) FROM cost_records WHERE user_id IS NOT NULL AND request_id IS NOT NULL") == 1


def test_without_a_price_the_cost_is_unknown_and_not_nothing(world):
    world.serve()
    alice = world.bot.person(7)
    say(world, alice, "hello")
    assert world.sql("SELECT cost, estimated FROM cost_records") == [(None, False)]
    assert "no budget" in say(world, alice, "/budget")


def test_a_question_that_failed_has_a_record_that_costs_nothing(world):
    models = [dict(priced(world, **PRICES, tries=1)[0], name=name, model=f"real-{name}") for name in ("first", "second")]

    async def behave(request, ask):
        failing = world.model.broken(503) if ask.body["model"] == "real-first" else world.model.stream(["well"])
        return await failing(request, ask)
    world.model.on("", behave)
    world.serve(models=models, routes=[{"name": "safe", "models": ["first", "second"]}])
    alice = world.bot.person(7)
    assert say(world, alice, "hello") == "well"
    assert world.sql("SELECT model, failed, prompt_tokens > 0, cost > 0, estimated FROM cost_records ORDER BY model") == [
        ("first", "io", False, False, False), ("second", None, True, True, False)]
    assert world.one("SELECT total_cost = (SELECT sum(cost) FROM cost_records) FROM requests") is True
    by_model = world.one("SELECT metrics_summary(1) -> 'by_model'")
    assert (by_model["first"]["failed"], by_model["second"]["failed"]) == (1, 0) and by_model["second"]["questions"] == 1


def test_a_cut_or_stopped_answer_is_estimated(world):
    world.serve(models=priced(world, **PRICES))
    alice = world.bot.person(7)
    world.model.on("cut", world.model.stream(["Once ", "upon ", "a time"], cut_after=2))
    world.model.on("long", world.model.endless())
    say(world, alice, "cut")
    assert world.sql("SELECT estimated, cost > 0, completion_tokens > 0 FROM cost_records") == [(True, True, True)]
    world.bot.say(alice, "long")
    wait_until(lambda: len(world.model.asks) == 2)
    time.sleep(0.3)
    world.bot.say(alice, "/stop")
    world.wait_settled(3)
    wait_until(lambda: world.one("SELECT count(*) FROM cost_records WHERE estimated") == 2)


def test_who_gives_up_in_the_row_pays_nothing(world):
    world.serve(models=priced(world, **PRICES, running_max=1), budgets=[{"for": "all", "day": "9"}])
    alice, bob = world.bot.person(7), world.bot.person(8)
    world.model.on("slow", world.model.stream(["slow ", "answer"], pause=3.0))
    world.bot.say(alice, "slow")
    wait_until(lambda: world.model.asks)
    world.bot.say(bob, "me too")
    wait_until(lambda: world.one("SELECT count(*) FROM budget_reservations") == 2, what="bob waits for his turn")
    wait_until(lambda: world.one("SELECT count(asked_at) FROM budget_reservations") == 1)
    stays(lambda: world.one("SELECT count(asked_at) FROM budget_reservations") == 1, 0.5)
    world.bot.say(bob, "/stop")
    world.wait_settled(3)
    assert len(world.model.asks) == 1
    assert world.one("SELECT count(*) FROM cost_records") == 1, "of alice's question"
    assert world.one("SELECT sum(reserved) FROM budgets") == 0


def test_a_budget_is_used_up_and_told_so(world):
    budgets = [{"for": "person", "day": "1.00"}, {"for": "channel", "name": "support", "month": "50"}]
    world.serve(models=priced(world, **PRICES, max_tokens=10), budgets=budgets, chat={"history_messages": 2})
    alice, bob = world.bot.person(7), world.bot.person(8)
    texts = []
    for i in range(30):
        texts.append(say(world, alice, f"question {i}"))
        if "is used up: " in texts[-1]:
            break
    assert re.search(r"Your budget for today is used up: \$\d\.\d+ of \$1\.00 are spent.*It begins anew in ", texts[-1]), texts[-1]
    assert dollars(world) <= 1.0, "not a cent more"
    told = [t for t in texts if "nearly used up" in t]
    assert len(told) == 1 and "Your budget for today is nearly used up: $0." in told[0], "once"
    assert "scope=person:" in world.gateways[0].log() and world.gateways[0].metric("parley_budget_alerts_total", percent="80") == 1
    asked = len(world.model.asks)
    assert "is used up" in say(world, alice, "one more, and a longer one at that " * 4)
    assert len(world.model.asks) == asked, "the model is not asked"
    assert say(world, bob, "hello") == "echo: hello", "others have their own"
    view = say(world, alice, "/budget")
    assert re.search(r"Your budget for today: \$\d\.\d+ of \$1\.00; anew in", view) and "this channel for this month: $" in view
    assert world.one("SELECT sum(reserved) FROM budgets") == 0
    assert world.one("SELECT count(*) FROM budget_reservations WHERE settled_at IS NULL") == 0


def test_two_processes_do_not_overshoot_together(world):
    """Twenty questions at once: never more than the limit is spent, whoever is first."""
    models, budgets = priced(world, **PRICES), [{"for": "all", "day": "2.00"}]
    gateways = [world.gateway(None, models=models, budgets=budgets, chat={"lease": "2s"}).start() for _ in range(2)]
    world.model.delay = 0.3
    pages = [Person(gateways[i % 2]).connect(gateways[i % 2]) for i in range(20)]
    threads = [new_thread() for _ in pages]
    for page, thread in zip(pages, threads):
        page.say(thread, "hello")
    wait_until(lambda: all(page.answers(thread) for page, thread in zip(pages, threads)), 60)
    answers = [page.answers(thread)[0] for page, thread in zip(pages, threads)]
    refused = [a for a in answers if "The budget of all channels together for today is used up" in a]
    assert len(refused) + sum(a.startswith("echo: hello") for a in answers) == 20
    assert 0 < len(refused) < 20 and len(world.model.asks) == 20 - len(refused)
    assert dollars(world) <= 2.0
    assert world.one("SELECT spent::float8 FROM budgets WHERE scope = 'all'") == pytest.approx(dollars(world))


def half_and_whole(world, day, midway="replace", **more):
    """The first model breaks off after a long half; the second one answers. `day`: the budget of all."""
    models = [dict(priced(world, **PRICES, tries=1)[0], name=name, model=f"real-{name}") for name in ("first", "second")]

    async def behave(request, ask):
        if ask.body["model"] == "real-first":
            return await world.model.stream([f"half {i} " for i in range(41)], cut_after=40)(request, ask)
        return await world.model.stream(["the whole answer"] + [" and more"] * 79)(request, ask)
    world.model.on("", behave)
    world.serve(models=models, routes=[{"name": "safe", "models": ["first", "second"], "midway": midway}],
                budgets=[{"for": "all", "day": day}], chat={"history_messages": 0}, **more)
    return world.bot.person(7)


@pytest.mark.parametrize("midway", ["replace", "continue"])
def test_a_failover_in_the_middle_has_to_fit_into_the_budget(world, midway):
    """What the half cost and what the whole may cost were never set aside together."""
    alice = half_and_whole(world, "0.64", midway)
    texts = []
    for i in range(8):
        texts.append(say(world, alice, f"question {i}"))
        if "is used up: " in texts[-1]:
            break
    assert "is used up: " in texts[-1] and "the whole answer and more" in texts[0]
    assert dollars(world) <= 0.64, "not a cent more"
    assert world.one("SELECT spent::float8 FROM budgets") == pytest.approx(dollars(world))
    assert world.one("SELECT sum(reserved) FROM budgets") == 0


def test_without_money_for_another_model_the_half_is_kept(world):
    alice = half_and_whole(world, "0.20")
    text = say(world, alice, "a story")
    assert text.startswith("half 0 half 1") and "a budget has no room for another one; /budget tells" in text, text
    assert [ask.body["model"] for ask in world.model.asks] == ["real-first"]
    assert "nobody else was asked: a budget had no room for it" in say(world, alice, "/why")
    assert world.one("SELECT spent::float8 FROM budgets") == pytest.approx(dollars(world)) and dollars(world) > 0


def test_money_of_a_process_that_died_while_it_asked_is_spent(world):
    """Nobody knows what the answer would have cost: it counts as what was set aside."""
    models, budgets = priced(world, **PRICES, total_timeout="1s", first_token_timeout="1s"), [{"for": "all", "day": "0.40"}]
    gateway = world.gateway("webhook", models=models, budgets=budgets, chat={"lease": "1s"}).start()
    world.hook(gateway)
    alice = world.bot.person(7)
    world.model.on("hang", world.model.silent())
    world.bot.say(alice, "hang")
    wait_until(lambda: world.model.asks)
    wait_until(lambda: world.one("SELECT asked_at IS NOT NULL FROM budget_reservations"))
    held = world.one("SELECT reserved FROM budgets")
    assert held > 0
    gateway.kill()
    world.sql("UPDATE budget_reservations SET lease_until = now()")
    world.sql("UPDATE requests SET status = 'cancelled'")
    gateway.start()
    wait_until(lambda: world.one("SELECT reserved FROM budgets") == 0, what="it is released")
    assert world.one("SELECT spent FROM budgets") == held
    assert world.sql("SELECT cost, model, channel, estimated, pricing_version FROM cost_records") == [(held, "test", "support", True, "assumed")]
    assert say(world, alice, "hello") == "echo: hello"
    assert world.sql("SELECT spent FROM budgets") == world.sql("SELECT sum(cost) FROM cost_records")


def test_a_month_is_used_up(world):
    world.serve(models=priced(world, **PRICES, max_tokens=10), budgets=[{"for": "person", "month": "0.30"}], chat={"history_messages": 2})
    alice = world.bot.person(7)
    texts = [say(world, alice, f"question {i}") for i in range(8)]
    assert re.search(r"Your budget for this month is used up: \$0\.\d+ of \$0\.300 are spent.*It begins anew in \d+ (d|h)", texts[-1]), texts[-1]
    asked = len(world.model.asks)
    world.sql("UPDATE budgets SET starts = starts - interval '1 month'")
    assert "is used up" not in say(world, alice, "a month later") and len(world.model.asks) == asked + 1


def test_a_model_that_the_price_list_lacks_is_refused_under_a_budget(world, tmp_path):
    """And named; the others are asked."""
    models = [*priced(world), *priced(world, name="unlisted", model="unlisted-model")]
    gateway = world.gateway(models=models, budgets=[{"for": "all", "month": "5"}])
    assert gateway.run("prices", "import", written(tmp_path, LIST)).returncode == 0
    gateway.start()
    world.hook(gateway)
    alice = world.bot.person(7)
    assert say(world, alice, "hello").startswith("echo: hello")
    say(world, alice, "/model unlisted")
    assert "the model unlisted has no price, so I may not ask it" in say(world, alice, "and you?")
    assert [ask.body["model"] for ask in world.model.asks] == ["test-model"]


def test_a_model_without_a_price_is_refused_under_a_budget(world):
    world.serve(budgets=[{"for": "all", "month": "5"}])
    told = say(world, world.bot.person(7), "hello")
    assert "the model test has no price, so I may not ask it" in told and not world.model.asks


def test_redis_away_changes_nothing(own_servers, own_world):
    world = own_world
    world.serve(models=priced(world, **PRICES), budgets=[{"for": "all", "day": "0.30"}])
    alice = world.bot.person(7)
    own_servers.kill_redis()
    texts = []
    for i in range(10):
        texts.append(say(world, alice, f"question {i}"))
        if "is used up" in texts[-1]:
            break
    assert "is used up" in texts[-1] and len(texts) > 1 and dollars(world) <= 0.30


def test_a_forgotten_person_leaves_sums_only(world):
    gateway = world.gateway(None, models=priced(world, **PRICES), budgets=[{"for": "person", "day": "5"}]).start()
    page, thread = Person(gateway).connect(gateway), new_thread()
    page.say(thread, "hello")
    wait_until(lambda: page.answers(thread))
    user = str(world.one("SELECT id FROM users"))
    page.say(thread, "/forget")
    code = re.search(r"[0-9A-Z]{4}-[0-9A-Z]{4}", wait_until(lambda: page.answers(thread)[1:])[0]).group()
    page.say(thread, f"/forget {code}")
    wait_until(lambda: world.one("SELECT count(*) FROM users") == 0)
    wait_until(lambda: not traces(world, [user]), what="no trace is left")
    assert world.one("SELECT count(*) FROM cost_records WHERE cost > 0") == 1


# --- the price list ----------------------------------------------------------------------------------------------

LIST = {
    "sample_spec": {"input_cost_per_token": "cost of a token", "litellm_provider": "one of"},
    "test-model": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05},
    "drawing": {"litellm_provider": "openai", "mode": "image_generation", "output_cost_per_image": 0.04},
    "negative": {"input_cost_per_token": -1}, "dear": {"input_cost_per_token": 0.5}, "words": {"input_cost_per_token": "a lot"},
    "anthropic/other": {"input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05, "cache_read_input_token_cost": 3e-07},
}


def written(tmp_path, content):
    path = tmp_path / "prices.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_a_list_is_imported(world, tmp_path):
    gateway = world.gateway("webhook").start()
    done = gateway.run("prices", "import", written(tmp_path, LIST))
    assert done.returncode == 0 and "2 models have a price now" in done.stdout, done.stdout + done.stderr
    assert all(name in done.stderr for name in ("negative", "dear", "words")) and "drawing" not in done.stderr
    listed = gateway.run("prices", "list", "OTHER").stdout.splitlines()
    assert len(listed) == 2 and listed[1].split() == ["anthropic/other", "$3.00", "$15.00", "$0.300"]
    gateway.stop()
    gateway.start()
    world.hook(gateway)
    alice = world.bot.person(7)
    wait_until(lambda: (say(world, alice, "hello"), world.one("SELECT bool_or(cost > 0) FROM cost_records"))[1])
    assert len(world.one("SELECT max(pricing_version) FROM cost_records")) == 12


@pytest.mark.parametrize("content, complaint", [
    ("{", "no JSON"), ("[]", "not an object"), ({}, "no model has a price"), ({"sample_spec": {}, "x": {}}, "no model has a price"),
])
def test_a_list_with_nothing_in_it_changes_nothing(world, tmp_path, content, complaint):
    gateway = world.gateway(None).start()
    assert gateway.run("prices", "import", written(tmp_path, LIST)).returncode == 0
    done = gateway.run("prices", "import", written(tmp_path, content))
    assert done.returncode == 1 and complaint in done.stderr
    assert world.one("SELECT count(*) FROM prices") == 2


def test_a_list_that_lost_most_of_its_models_is_not_believed(world, tmp_path):
    gateway = world.gateway(None).start()
    many = {f"m{i}": {"input_cost_per_token": 1e-06} for i in range(10)}
    gateway.run("prices", "import", written(tmp_path, many))
    few = written(tmp_path, {"m1": {"input_cost_per_token": 1e-06}})
    done = gateway.run("prices", "import", few)
    assert done.returncode == 1 and "the list has 1 models, the present one 10" in done.stderr
    assert gateway.run("prices", "import", few, "force").returncode == 0
    assert world.one("SELECT count(*) FROM prices") == 1


@pytest.mark.parametrize("budget, complaint", [
    ({"for": "person"}, "a budget needs a limit"), ({"for": "nobody", "day": "1"}, "for"), ({"for": "all", "day": "-1"}, "not an amount"),
    ({"for": "all", "day": "much"}, "not an amount"), ({"for": "all", "day": "0"}, "not an amount"),
    ({"for": "all", "name": "x", "day": "1"}, 'only for = "channel" has a name'), ({"for": "all", "week": "1"}, "week"),
])
def test_bad_budgets_are_named(world, budget, complaint):
    done = world.gateway(None, budgets=[budget]).run("check")
    assert done.returncode != 0 and complaint in done.stdout + done.stderr


@pytest.mark.parametrize("price, complaint", [
    ({"input_price": "1"}, "go together"), ({"input_price": "free", "output_price": "1"}, "not a number of dollars"),
    ({"input_price": "1", "output_price": "1000000000"}, "not a number of dollars"),
])
def test_bad_prices_are_named(world, price, complaint):
    done = world.gateway(None, models=priced(world, **price)).run("check")
    assert done.returncode != 0 and complaint in done.stdout + done.stderr
    stays(lambda: not world.model.asks)
