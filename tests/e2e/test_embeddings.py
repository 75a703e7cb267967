"""Vectors of texts, by a small but real model, as `parley embed` prints them."""
import json
import math
import re

import pytest

from fakes.embedding import FakeEmbedding, vector
from harness.npm import embeddings
from harness.wait import wait_until
from harness.webclient import Person, new_thread

SIMILAR = [
    ("How do I reset my password?", "I forgot my password and need a new one."),
    ("The cat sleeps on the sofa.", "A kitten is napping on the couch."),
    ("When does the next train leave?", "What time is the next train departure?"),
]


@pytest.fixture(scope="module")
def server():
    running = embeddings()
    yield running
    running.stop()


def gateway_of(world, server, **keys):
    model = {"name": "meaning", "type": "openai", "base_url": server.url + "/v1", "model": "use-lite", "embeds": True, **keys}
    return world.gateway(None, models=[*world.settings()["models"], model])


def embed(gateway, *texts):
    done = gateway.run("embed", *texts)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def nearness(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.hypot(*a) / math.hypot(*b)


@pytest.mark.parametrize("form", ["base64", "float"])
def test_what_means_the_same_is_near(world, server, form):
    gateway = gateway_of(world, server, embedding_format=form)
    lines = embed(gateway, *(text for pair in SIMILAR for text in pair))
    assert all((line["model"], line["dimensions"], len(line["embedding"])) == ("meaning", 512, 512) for line in lines)
    vectors = [line["embedding"] for line in lines]
    assert all(abs(math.hypot(*v) - 1) < 1e-3 for v in vectors)
    for i in range(0, len(vectors), 2):
        others = [v for k, v in enumerate(vectors) if k not in (i, i + 1)]
        near = nearness(vectors[i], vectors[i + 1])
        assert near > max(nearness(vectors[i], v) for v in others) + 0.1, SIMILAR[i // 2]


def test_both_forms_and_every_order_give_the_same(world, server):
    one, two = "The weather is fine today.", "Databases keep rows – “in tables”.\n"
    first = embed(gateway_of(world, server, embedding_format="base64"), one, two)
    second = embed(gateway_of(world, server, embedding_format="float"), "--model", "MEANING", two, one)
    for a, b in zip(first, reversed(second)):
        assert a["embedding"] == pytest.approx(b["embedding"], abs=1e-6)
    assert nearness(first[0]["embedding"], first[1]["embedding"]) < 0.9


def test_nobody_can_choose_a_model_that_makes_vectors(world, server):
    gateway = gateway_of(world, server)
    gateway.settings["models"].reverse()
    done = gateway.run("check")
    assert "meaning (openai), makes vectors" in done.stdout
    assert "test (openai), answers by default" in done.stdout
    gateway.start()
    page, thread = Person(gateway).connect(gateway), new_thread()
    for text, wanted in [("/models", "- `test` – answers here"), ("/model meaning", "I know no model `meaning`"),
                         ("hello", "echo: hello")]:
        page.say(thread, text)
        wait_until(lambda: wanted in "".join(page.answers(thread)[-1:]), what=wanted)
    assert "meaning" not in page.answers(thread)[0]


@pytest.mark.parametrize("arguments, status, why", [
    ([], 2, "usage: parley embed"),
    (["--model", "test", "hello"], 2, 'no model with embeds = true is named "test"'),
    (["hello", " "], 1, "text 2 is empty"),
    (["x"] * 129, 1, "1 to 128 texts at once"),
])
def test_what_cannot_be(world, server, arguments, status, why):
    done = gateway_of(world, server).run("embed", *arguments)
    assert (done.returncode, done.stdout) == (status, "") and why in done.stderr, done.stderr


def test_the_server_is_away_or_says_no(world, server):
    away = gateway_of(world, server, base_url="http://127.0.0.1:1/v1", tries=1).run("embed", "hello")
    assert away.returncode == 1 and "openai/meaning: " in away.stderr
    wrong = gateway_of(world, server, dimensions=256).run("embed", "hello")
    assert wrong.returncode == 1 and "it makes 512 dimensions whatever it is asked for" in wrong.stderr
    nothing = world.gateway(None).run("embed", "hello")
    assert nothing.returncode == 2 and "no model is configured with embeds = true" in nothing.stderr


# --- what they cost ----------------------------------------------------------------------------------------------

def priced(world, server, *budgets, **keys):
    gateway = gateway_of(world, server, **keys)
    gateway.settings["budgets"] = list(budgets)
    return gateway


PRICE = {"input_price": "1000", "output_price": "0"}  # a thousandth of a dollar a token


def spent(world):
    return world.sql("SELECT scope, period, spent, reserved FROM budgets ORDER BY period")


def test_each_has_a_cost_record_and_fits_the_budget_of_all(world, server):
    gateway = priced(world, server, {"for": "all", "day": "0.10"}, {"for": "person", "day": "0.00001"}, **PRICE)
    embed(gateway, "one two three", "four")
    [(provider, model, tokens, cost, version, request)] = world.sql(
        "SELECT provider, model, prompt_tokens, cost, pricing_version, request_id FROM cost_records")
    assert (provider, model, version, request) == ("openai", "meaning", "configuration", None) and tokens > 0
    assert cost * 1000 == tokens and spent(world) == [("all", "day", cost, 0)]
    done = gateway.run("embed", "x " * 200)
    assert done.returncode == 1 and done.stdout == ""
    assert re.search(r"not asked: the budget of all for a day is used up: \$0\.\d+ of \$0\.100 are spent", done.stderr), done.stderr
    assert spent(world) == [("all", "day", cost, 0)] and world.one("SELECT count(*) FROM cost_records") == 1


def test_that_little_of_the_budget_is_left_is_told(world, server):
    gateway = priced(world, server, {"for": "all", "day": "0.10"}, **PRICE)
    for before, told in (("0", False), ("0.0795", True), ("0.0795", False)):
        world.sql("UPDATE budgets SET spent = %s", before)
        done = gateway.run("embed", "x")
        assert done.returncode == 0 and ("nearly used up" in done.stderr) == told, done.stderr


def test_what_was_set_aside_for_nothing_is_given_back(world, server):
    gateway = priced(world, server, {"for": "all", "day": "1", "month": "2"}, base_url="http://127.0.0.1:1/v1", tries=1, **PRICE)
    assert gateway.run("embed", "x").returncode == 1
    assert [row[2:] for row in spent(world)] == [(0, 0), (0, 0)] and world.one("SELECT count(*) FROM cost_records") == 0


def test_without_a_price_a_budget_refuses_it(world, server):
    done = priced(world, server, {"for": "all", "day": "1"}, base_url="https://elsewhere.example/v1").run("embed", "x")
    assert done.returncode == 1 and "the model meaning has no price" in done.stderr, done.stderr


def test_without_postgres_only_a_budget_stops_it(own_world, server):
    own_world.servers.stop("postgres")
    done = priced(own_world, server, **PRICE).run("embed", "x")
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 1
    assert "what it cost is not recorded: " in done.stderr
    limited = priced(own_world, server, {"for": "all", "day": "1"}, **PRICE).run("embed", "x")
    assert limited.returncode == 1 and limited.stdout == "" and "not asked: " in limited.stderr


# --- other backends ----------------------------------------------------------------------------------------------

@pytest.fixture
def fake():
    running = FakeEmbedding().start()
    yield running
    running.stop()


@pytest.fixture(params=["cohere", "gemini"])
def kind(request):
    return request.param


def gateway_by(world, fake, kind, **keys):
    model = {"name": "meaning", "type": kind, "base_url": getattr(fake, kind), "api_key": "env:MODEL_KEY", "model": "embed-1", "embeds": True}
    return world.gateway(None, models=[{**model, **keys}])


TEXTS = ["one \u201ctext\u201d", "and\nanother", "one \u201ctext\u201d"]


def test_vectors_by_others(world, fake, kind):
    lines = embed(gateway_by(world, fake, kind), *TEXTS)
    assert [line["embedding"] for line in lines] == [pytest.approx(vector(text), abs=1e-6) for text in TEXTS]
    assert len(fake.asks) == 1, "all at once"
    few = embed(gateway_by(world, fake, kind, dimensions=3), *TEXTS)
    assert [line["embedding"] for line in few] == [pytest.approx(vector(text, 3), abs=1e-6) for text in TEXTS]


def test_what_cohere_makes_vectors_for(world, fake):
    embed(gateway_by(world, fake, "cohere"), "x")
    embed(gateway_by(world, fake, "cohere", embedding_input="search_query"), "x")
    assert [ask["input_type"] for ask in fake.asks] == ["search_document", "search_query"]
    many = gateway_by(world, fake, "cohere").run("embed", *["x"] * 97)
    assert many.returncode == 1 and "1 to 96 texts at once, not 97" in many.stderr and len(fake.asks) == 2


@pytest.mark.parametrize("trouble", [(429, {"message": "later"}, {"Retry-After": "1"}), (503, {}, None)])
def test_others_are_asked_again_when_they_are_busy(world, fake, kind, trouble):
    fake.troubles.append(trouble)
    assert len(embed(gateway_by(world, fake, kind), "x")) == 1 and len(fake.asks) == 2


@pytest.mark.parametrize("status, error, why", [
    (401, {"message": "no"}, "401: the API key was refused"),
    (400, {"error": {"code": 400, "message": "it exceeds the maximum number of tokens", "status": "INVALID_ARGUMENT"}}, "too long"),
    (200, {"embeddings": {"int8": [[1]]}}, "for 1 texts|vector 0 is none"), (200, {"embeddings": [{"values": []}, {"values": []}]}, "for 1 texts|0 dimensions"),
])
def test_what_others_refuse_or_get_wrong_is_final(world, fake, kind, status, error, why):
    fake.troubles.append((status, error, None))
    done = gateway_by(world, fake, kind).run("embed", "x")
    assert done.returncode == 1 and re.search(f"{kind}/meaning: .*({why})", done.stderr), done.stderr
    assert len(fake.asks) == 1
