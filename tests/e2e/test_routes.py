"""Who answers when the first model does not: routes, models that rest, and what /why says about it."""
import json
import re
import time

import pytest

from harness.wait import stays, wait_until
from harness.webclient import Person, new_thread
from test_commands import say


def both_of(world):
    """Two models behind one server; `world.first(behaviour)` is what the first one does, the second one always works."""
    def first(behaviour, part="", times=float("inf")):
        async def behave(request, ask):
            if ask.body["model"] == "real-first":
                return await behaviour(request, ask)
            return await world.model.stream([f"second: {ask.last}"])(request, ask)
        world.model.on(part, behave, times)

    def settings(**route):
        models = [{"name": name, "type": "openai", "base_url": world.model.base, "api_key": "env:MODEL_KEY",
                   "model": f"real-{name}", "tries": 1, "context_tokens": 8000} for name in ("first", "second")]
        return dict(models=models, routes=[dict({"name": "safe", "models": ["first", "second"]}, **route)])

    world.first = first
    return settings


@pytest.fixture
def both(world):
    return both_of(world)


FAILURES = {
    "503": lambda model: model.broken(503), "429": lambda model: model.too_many(60), "html": lambda model: model.html(),
    "empty": lambda model: model.empty(), "cut": lambda model: model.stream(["never"], cut_after=0),
    "401": lambda model: model.status(401, {"error": {"message": "no", "code": "invalid_api_key"}}),
    "404": lambda model: model.status(404, {"error": {"message": "no", "code": "model_not_found"}}),
    "402": lambda model: model.status(402, {"error": {"message": "no", "code": "insufficient_quota"}}),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_the_next_model_answers(world, both, failure):
    world.first(FAILURES[failure](world.model))
    world.serve(**both())
    alice = world.bot.person(7)
    assert say(world, alice, "hello") == "second: hello"
    told = say(world, alice, "/why")
    assert "Answered by second, by the route safe" in told and "first (openai) failed" in told, told


def test_why_there_was_no_answer(world, both):
    alice = world.bot.person(7)
    world.first(world.model.stream(["well"]))
    world.model.on("and now", world.model.status(500, {"error": {"message": "no idea"}}))
    world.serve(**both())
    assert say(world, alice, "hello") == "well"
    assert "could not get an answer" in say(world, alice, "and now")
    told = say(world, alice, "/why")
    assert "No model answered, by the route safe" in told, told
    assert "first (openai) failed" in told and "second (openai) failed" in told, told
    assert "Answered by first" in say(world, alice, "/why 2"), "the one before it"
    failed = world.one("SELECT id FROM requests WHERE status = 'refused'")
    assert world.one(f"SELECT metadata -> 'receipt' ->> 'failed' FROM messages WHERE id = (SELECT reply_id FROM requests WHERE id = '{failed}')")


def test_what_the_question_is_at_fault_for_is_not_passed_on(world, both):
    world.first(world.model.status(400, {"error": {"message": "bad request", "type": "invalid_request_error"}}))
    world.serve(**both())
    assert "could not get an answer" in say(world, world.bot.person(7), "hello")
    assert [ask.body["model"] for ask in world.model.asks] == ["real-first"]


@pytest.mark.parametrize("field, words", [("temperature", "Unsupported value: 'temperature' does not support 0.5 with this model."),
                                          ("max_completion_tokens", "Unsupported parameter: 'max_completion_tokens' is not supported.")])
def test_a_setting_that_a_server_refuses_is_left_out(world, field, words):
    async def picky(request, ask):
        if field in ask.body:
            return await world.model.status(400, {"error": {"message": words, "type": "invalid_request_error"}})(request, ask)
        return await world.model.stream(["well"])(request, ask)
    world.model.on("", picky)
    gateway = world.gateway("webhook")
    gateway.settings["models"][0].update(temperature=0.5)
    gateway.start()
    world.hook(gateway)
    assert say(world, world.bot.person(7), "hello") == "well"
    assert [field in ask.body for ask in world.model.asks] == [True, False]
    assert {"temperature", "max_completion_tokens"} - {field} <= set(world.model.asks[1].body), "only that"


@pytest.mark.parametrize("chosen, line", [("", "safe, asks first first"), ("second", "second (openai)")])
def test_the_doctor_names_who_answers_by_default(world, both, chosen, line):
    checked = world.gateway(None, **both(), chat={"model": chosen}).run("check").stdout
    assert [text for text in checked.splitlines() if text.endswith(f"{line}, answers by default")], checked
    assert checked.count("by default") == 1


def test_a_model_chosen_by_its_name_stands_alone(world, both):
    world.first(world.model.broken(503))
    world.serve(**both())
    alice = world.bot.person(7)
    listed = say(world, alice, "/models")
    assert "safe asks first, then second – answers here" in listed, listed
    say(world, alice, "/model first")
    assert "could not get an answer from the model first" in say(world, alice, "hello")
    say(world, alice, "/model safe")
    assert say(world, alice, "hello again") == "second: hello again"


@pytest.mark.parametrize("midway", ["replace", "continue", "keep"])
def test_a_model_that_fails_in_the_middle_of_its_answer(world, both, midway):
    world.first(world.model.stream(["Once ", "upon ", "never"], pause=0.3, cut_after=2))
    world.serve(chat={"preview_after": "0s"}, **both(midway=midway))
    alice = world.bot.person(7)
    world.bot.say(alice, "a story")
    world.wait_settled(1)
    text, told = world.bot.texts(alice)[0], say(world, alice, "/why")
    assert len(world.bot.texts(alice)) == 2, "one message, and that of /why"
    if midway == "replace":
        assert text == "second: a story" and "was replaced" in told
    elif midway == "continue":
        assert text.startswith("Once upon second: Your answer broke off") and "was continued by the next model" in told
        assert ("assistant", "Once upon ") in world.model.asks[-1].history
    else:
        assert text.startswith("Once upon") and "the connection to the model broke" in text
        assert len(world.model.asks) == 1


@pytest.mark.parametrize("midway, text", [("replace", "second: a story"), ("continue", "Once upon second: "), ("keep", "Once upon")])
def test_a_model_that_only_sends_comments_after_its_first_pieces(world, both, midway, text):
    world.first(world.model.muttering(["Once ", "upon "]))
    settings = both(midway=midway)
    settings["models"][0].update(content_timeout="1s", idle_timeout="500ms")
    world.serve(chat={"preview_after": "0s"}, **settings)
    alice = world.bot.person(7)
    answer = say(world, alice, "a story")
    assert answer.startswith(text) and ("the connection to the model broke" in answer) == (midway == "keep"), answer
    assert "first (openai) failed" in say(world, alice, "/why")
    wait_until(lambda: world.model.asks[0].cancelled)


@pytest.mark.parametrize("midway, text", [("replace", "second: a story"), ("keep", "round and round it goes ")])
def test_a_model_that_is_caught_in_a_loop(world, both, midway, text):
    song = "round and round it goes " * 5000
    world.first(world.model.stream([song[at:at + 7] for at in range(0, len(song), 7)]))
    world.serve(chat={"preview_after": "0s"}, **both(midway=midway))
    alice = world.bot.person(7)
    world.bot.say(alice, "a story")
    world.wait_settled(1)
    told, texts = say(world, alice, "/why"), world.bot.texts(alice)
    assert texts[0].startswith(text) and ("the connection to the model broke" in "".join(texts[:-1])) == (midway == "keep"), texts
    assert sum(map(len, texts)) < 40_000 and "first (openai) failed" in told, told
    assert "it repeats itself for ever" in world.one("SELECT metadata ->> 'receipt' FROM messages WHERE role = 'assistant'"
                                                     " ORDER BY id LIMIT 1")


def test_a_page_sees_the_new_answer_grow_in_the_place_of_the_old(world, both):
    world.first(world.model.stream(["Once ", "upon ", "never"], pause=0.2, cut_after=2))
    gateway = world.gateway(None, **both()).start()
    page, thread = Person(gateway).connect(gateway), new_thread()
    page.say(thread, "a story")
    wait_until(lambda: page.answers(thread) == ["second: a story"])
    deltas = page.of("delta", thread=thread)
    assert deltas[0]["text"] == "Once " and [d["text"] for d in deltas if d["from"] == 0][-1].startswith("second:")


def two_processes(world, both):
    """ask(n, text) -> what process n answers."""
    one, two = (world.gateway(None, **both()).start() for _ in range(2))
    pages = [Person(g).connect(g) for g in (one, two)]
    threads = [new_thread(), new_thread()]

    def ask(n, text):
        before = len(pages[n].answers(threads[n]))
        pages[n].say(threads[n], text)
        wait_until(lambda: len(pages[n].answers(threads[n])) > before)
        return pages[n].answers(threads[n])[-1]
    return ask


def test_failures_are_in_a_row_only_if_no_process_saw_it_work(world, both):
    world.first(world.model.broken(503), part="bad")
    ask = two_processes(world, both)
    assert ask(1, "good") == "echo: good"
    for i in range(6):
        assert ask(0, f"bad {i}") == f"second: bad {i}"
        if i == 3:
            assert ask(1, "good again") == "echo: good again"
            wait_until(lambda: world.redis.get("provider:health:first") is None, what="none in a row")
    assert '"failures":2' in world.redis.get("provider:health:first")
    assert ask(0, "good") == "echo: good", "it never rested"


def test_a_model_that_failed_rests_in_all_processes(world, both):
    world.first(world.model.broken(503))
    ask = two_processes(world, both)

    for i in range(3):
        assert ask(0, f"one {i}") == f"second: one {i}"
        assert ask(1, f"two {i}") == f"second: two {i}"
    wait_until(lambda: '"resting"' in (world.redis.get("provider:health:first") or ""), what="five failures together are enough")
    time.sleep(0.2)
    asked = len(world.model.asks)
    assert ask(0, "later") == "second: later" and ask(1, "later") == "second: later"
    assert [a.body["model"] for a in world.model.asks[asked:]] == ["real-second"] * 2, "nobody waits for the first"
    assert "was not asked: it failed a moment ago" in ask(0, "/why")
    third, asked = world.gateway(None, **both()).start(), len(world.model.asks)
    page, thread = Person(third).connect(third), new_thread()
    page.say(thread, "who comes late")
    wait_until(lambda: page.answers(thread) == ["second: who comes late"])
    assert [a.body["model"] for a in world.model.asks[asked:]] == ["real-second"], "a new process knows it, too"
    wait_until(lambda: world.sql("SELECT status, failures >= 3, disabled_reason LIKE '%%503%%' FROM provider_health WHERE id = 'first'")
               == [("resting", True, True)], 30, "the record")


def test_after_a_rest_one_question_of_all_processes_is_let_through(world, both):
    held, release = world.model.held("first is back")
    world.first(held, part="now")
    world.first(world.model.too_many(1), part="much")
    ask = two_processes(world, both)
    assert ask(0, "too much") == "second: too much"
    wait_until(lambda: float(json.loads(world.redis.get("provider:health:first"))["resting_until"]) / 1000 < time.time() - 0.1)
    pages, thread = [Person(g).connect(g) for g in world.gateways], new_thread()
    pages[0].say(thread, "now?")
    wait_until(lambda: [a.body["model"] for a in world.model.asks][-1] == "real-first")
    asked = len(world.model.asks)
    for i in range(3):
        assert ask(0, f"now {i}?") == f"second: now {i}?" and ask(1, f"now {i}!") == f"second: now {i}!"
    assert {a.body["model"] for a in world.model.asks[asked:]} == {"real-second"}, "its answer is not known yet"
    release()
    wait_until(lambda: pages[0].answers(thread) == ["first is back"])
    wait_until(lambda: world.redis.get("provider:health:first") is None)
    assert ask(1, "hello") == "echo: hello" and ask(0, "hello") == "echo: hello"


def test_after_a_rest_without_redis_each_process_lets_one_through(own_world):
    both = both_of(own_world)
    own_world.first(own_world.model.too_many(1), part="much")
    ask = two_processes(own_world, both)
    assert ask(0, "too much") == "second: too much"
    own_world.servers.kill_redis()
    time.sleep(1.1)
    assert ask(0, "hello") == "echo: hello" and ask(1, "hello") == "echo: hello"
    assert [a.body["model"] for a in own_world.model.asks[-2:]] == ["real-first"] * 2


def test_failures_in_the_middle_put_a_model_to_rest_too(world, both):
    world.first(world.model.stream(["Once ", "never"], pause=0.05, cut_after=1))
    gateway = world.serve(**both())
    alice = world.bot.person(7)
    for i in range(5):
        assert say(world, alice, f"tell {i}") == f"second: tell {i}"
    assert gateway.metric("parley_failovers_total", when="midway") == 5 and gateway.metric("parley_model_rests_total") == 1
    asked = len(world.model.asks)
    assert say(world, alice, "once more") == "second: once more"
    assert [a.body["model"] for a in world.model.asks[asked:]] == ["real-second"], "five in a row are enough"


def test_all_rest_and_one_is_asked_all_the_same(world, both):
    settings = both()
    settings["routes"][0]["models"] = ["first"]
    world.first(world.model.broken(503), times=6)
    world.serve(**settings)
    alice = world.bot.person(7)
    for i in range(6):
        assert "could not get an answer" in say(world, alice, f"no {i}")
    assert say(world, alice, "now?") == "echo: now?"
    assert "works again" in world.gateways[0].log()




def test_whoever_waits_sees_their_place_and_a_busy_channel_starves_nobody(world):
    gateway = world.gateway("webhook", chat={"preview_after": "0s"})
    gateway.settings["models"][0]["running_max"] = 1
    gateway.start()
    world.hook(gateway)
    world.model.on("", world.model.stream(["an ", "answer"], pause=0.5))
    pages, threads = [Person(gateway).connect(gateway) for _ in range(6)], [new_thread() for _ in range(6)]
    for page, thread in zip(pages, threads):
        page.say(thread, "hello")
    wait_until(lambda: len(pages[-1].of("delta", thread=threads[-1])) > 0)
    assert "you are number 5, in about" in pages[-1].of("delta", thread=threads[-1])[0]["text"]
    alice = world.bot.person(7)
    world.bot.say(alice, "hello")
    wait_until(lambda: "you are number" in "".join(world.bot.texts(alice)), what="a place in Telegram, too")
    wait_until(lambda: world.bot.texts(alice) == ["an answer"], what="the answer takes the place of that")
    assert sum(bool(page.answers(thread)) for page, thread in zip(pages, threads)) <= 3, "it was before those of the web"
    wait_until(lambda: all(page.answers(thread) == ["an answer"] for page, thread in zip(pages, threads)), 30)
    last = pages[-1].of("delta", thread=threads[-1])
    assert [d["text"] for d in last if d["from"] == 0][-1] == "an ", "the growing answer begins anew"


def test_why(world):
    world.serve()
    alice = world.bot.person(7)
    assert "no such answer" in say(world, alice, "/why")
    say(world, alice, "one")
    say(world, alice, "two")
    told = say(world, alice, "/why")
    assert "Answered by test (complete)" in told and "it saw 2 earlier messages" in told and "tokens" in told
    assert "About “echo: one…”" in say(world, alice, "/why 2") and "it saw 0 earlier" in say(world, alice, "/why 2")
    assert "no such answer" in say(world, alice, "/why 3")
    assert "`/why 2`" in say(world, alice, "/why x") or "/why 2" in say(world, alice, "/why x")
    stays(lambda: len(world.model.asks) == 2)


def test_why_tells_what_took_time(world):
    gateway = world.gateway(None)
    gateway.settings["models"][0]["running_max"] = 1
    gateway.start()
    world.model.on("", world.model.stream(["an ", "answer"], pause=0.3))
    pages, thread = [Person(gateway).connect(gateway) for _ in range(2)], new_thread()
    pages[0].say(new_thread(), "first")
    wait_until(lambda: world.model.asks)
    for text in ("hello", "/why"):
        before = len(pages[1].answers(thread))
        pages[1].say(thread, text)
        wait_until(lambda: len(pages[1].answers(thread)) > before)
    told = pages[1].answers(thread)[-1]
    assert re.search(r"your message waited 0\.\d\d s, preparing took 0\.\d\d s, answering 0\.\d\d s, delivering 0\.\d\d s", told), told
    waited = re.search(r"what took time beside that:.* gate (\d+) ms", told)
    assert waited and 200 < int(waited[1]) < 5000, told


@pytest.mark.parametrize("routes, complaint", [
    ([{"models": ["first"]}], "a route must have a name"),
    ([{"name": "x", "models": ["nobody"]}], 'no model is named "nobody"'),
    ([{"name": "x", "models": []}], "between 1 and 8 models"),
    ([{"name": "first", "models": ["first"]}], 'another route or model is named "first"'),
    ([{"name": "x", "models": ["first", "first"]}], '"first" is there twice'),
    ([{"name": "x", "models": ["first"], "midway": "maybe"}], "midway"),
])
def test_bad_routes_are_named(world, both, routes, complaint):
    gateway = world.gateway(None, **dict(both(), routes=routes))
    done = gateway.run("check")
    assert done.returncode != 0 and complaint in done.stdout + done.stderr


def test_more_members_of_a_request(world, both):
    settings = both()
    settings["models"][1]["extra"] = {"top_k": 40, "provider": {"order": ["a", "b"], "zdr": True}, "service_tier": "flex"}
    settings["models"][0]["extra"] = json.dumps({"logit_bias": {"50256": -100}, "seed": None, "user": "a \"b\" \u00f6"})
    world.first(world.model.broken(503))
    world.serve(**settings)
    assert say(world, world.bot.person(7), "hello") == "second: hello"
    first, second = (ask.body for ask in world.model.asks)
    assert first["logit_bias"] == {"50256": -100} and first["user"] == "a \"b\" \u00f6" and first["seed"] is None
    assert second["top_k"] == 40 and second["provider"] == {"order": ["a", "b"], "zdr": True} and second["service_tier"] == "flex"
    assert second["model"] == "real-second" and second["stream"] is True and "logit_bias" not in second


@pytest.mark.parametrize("extra, complaint", [({"model": "other"}, 'extra may not set "model": Parley does'),
                                              ({"max_completion_tokens": 1}, 'extra may not set "max_completion_tokens"'),
                                              ("{", "models.extra: must be a JSON object: "), (7, "models.extra: must be a group")])
def test_bad_members_are_named_with_their_line(world, both, extra, complaint):
    settings = both()
    settings["models"][0]["extra"] = extra
    gateway = world.gateway(None, **settings)
    done = gateway.run("check")
    assert done.returncode != 0 and re.search(r"\.conf:\d+: " + re.escape(complaint), done.stdout + done.stderr), done
