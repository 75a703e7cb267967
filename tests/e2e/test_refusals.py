"""What becomes of a question, a row for each way in which a model's server fails: is it asked again, does the next model of the route
answer, is the one that failed left alone from now on, and what does the person see who has chosen it.

All rows are asked at the same time, each by a route of its own and then its model alone."""
import dataclasses
import json
import time

import pytest

from harness.wait import wait_until
from harness.webclient import Person, new_thread
from harness.world import World
from fakes.openai import FakeOpenAI as Model

WORDS = "kaputt, says the server"  # nobody's business
TRIES, LONG_MS = 3, 600_000
AT_ONCE = 32  # routes of one gateway

# What the person is told.
AWAY, STRANGE, OPERATOR = "I cannot reach a service I need", "I got an answer I do not understand", "I am not set up correctly"
REFUSED, TOO_MUCH, NOT_FOUND = "That was refused", "more than I may do right now", "I cannot find that"
LOST, SLOW = "I lost the connection", "That took too long"

# What its health says afterwards: nothing; one failure of those that a rest needs; that it rests, as long as it asked to, or for ten minutes.
WELL, COUNTED, RESTS, LONG = "well", "counted", "rests", "rests long"


def error(**more):
    return {"error": {"message": WORDS, "type": None, "param": None, "code": None, **more}}


def events(*values):
    return "".join(f"data: {json.dumps(v) if isinstance(v, dict) else v}\n\n" for v in values)


def piece(text):
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}


def finish(reason):
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


HALF = events(piece("half "))


@dataclasses.dataclass
class Row:
    behave: object
    asked: int  # how often, in the route
    other: bool  # the next one answers
    health: str
    told: str
    half: str = ""  # what was shown before it failed
    wide: bool = False  # the next one has a larger window
    more: dict = dataclasses.field(default_factory=dict)  # settings of its model


def failing(behave, **more):
    return Row(behave, TRIES, True, COUNTED, AWAY, **more)


def rate(behave, told, asked=TRIES, **more):
    return Row(behave, asked, True, RESTS, f"is over its limit. Please try again in {told}", **more)


def operator(behave, told=OPERATOR):
    return Row(behave, 1, True, LONG, told)


def bad(behave):
    return Row(behave, 1, False, WELL, REFUSED)


def too_long(behave, other=False):
    return Row(behave, 1, other, WELL, TOO_MUCH, wide=other)


SECOND, MINUTE = {"Retry-After": "1"}, {"Retry-After": "60"}
ROWS = {
    # --- statuses
    "401": operator(Model.status(401, error(code="invalid_api_key"))),
    "401 by its status": operator(Model.status(401, WORDS)),
    "402": operator(Model.status(402, error(code=402))),
    "402 that comes back": rate(Model.status(402, error(code=402), SECOND), "1 s"),
    "403": operator(Model.status(403, error(type="permission_error"))),
    "404": operator(Model.status(404, error(code="model_not_found")), NOT_FOUND),
    "404 of a framework": operator(Model.status(404, {"detail": "Not Found"}), NOT_FOUND),
    **{f"{status}": failing(Model.status(status, error()))
       for status in (408, 409, 425, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529)},
    "302": operator(Model.status(302, "", {"Location": "https://elsewhere.example/v1"})),
    "400": bad(Model.status(400, error(type="invalid_request_error"))),
    "422": bad(Model.status(422, {"detail": [{"loc": ["body"], "msg": WORDS}]})),
    "499": bad(Model.status(499, error())),
    "413": too_long(Model.status(413, WORDS)),
    "413, a larger window": too_long(Model.status(413, WORDS), other=True),
    "429": rate(Model.status(429, error(code="rate_limit_exceeded"), SECOND), "1 s"),
    "429 in milliseconds": rate(Model.status(429, error(type="tokens"), {"retry-after-ms": "300", **MINUTE}), "1 s"),
    "429 without a word": rate(Model.status(429), "5 s", asked=1, more={"tries": 1}),
    "429 for long": rate(Model.status(429, error(code="rate_limit_exceeded"), MINUTE), "1 min", asked=1),
    "429, slow down": rate(Model.status(429, error(code="slow_down"), SECOND), "1 s"),
    "429, slow down without a word": rate(Model.status(429, error(code="slow_down")), "10 s", asked=1, more={"tries": 1}),
    "429, no credit": operator(Model.status(429, error(code="insufficient_quota", type="insufficient_quota"), SECOND)),
    "429, a limit of spending": operator(Model.status(429, error(code="credit_balance_exhausted"), SECOND)),
    "498": rate(Model.status(498, error(code="capacity_exceeded"), SECOND), "1 s"),
    "503 for long": Row(Model.status(503, error(), MINUTE), 1, True, COUNTED, AWAY),
    "503 for good": Row(Model.status(503, error(), {"x-should-retry": "false"}), 1, True, COUNTED, AWAY),
    # --- bodies
    "a text": failing(Model.status(500, WORDS, kind="text/plain")),
    "a page": failing(Model.status(502, f"<html><body>{WORDS}</body></html>")),
    "nothing": failing(Model.status(503)),
    "a string": failing(Model.status(500, {"error": WORDS})),
    "a detail": failing(Model.status(500, {"detail": WORDS})),
    "a message": failing(Model.status(500, {"message": WORDS})),
    "a number as its code": failing(Model.status(503, error(code=503, type="ServiceUnavailableError"))),
    "too long, by a code": too_long(Model.status(400, error(code="context_length_exceeded"))),
    "too long, in words": too_long(Model.status(400, {"object": "error", "message": "This model's maximum context length is 8", "code": 400})),
    "moderated": bad(Model.status(403, error(code=403, metadata={"error_type": "content_policy_violation"}))),
    "moderated, as OpenRouter says it": bad(Model.status(403, error(code=403, metadata={"reasons": ["violence"], "flagged_input": WORDS}))),
    # --- inside of a good status
    "200, a page": failing(Model.html()),
    "200, an error": failing(Model.status(200, error(code=502))),
    "200, a string": failing(Model.status(200, {"error": WORDS})),
    "200, an error at once": failing(Model.wire(": wait\n\n", events(error(code=503)))),
    "200, a refusal": bad(Model.wire(events(error(code=400, type="BadRequestError"), "[DONE]"))),
    "200, a flat error": failing(Model.wire(events({"object": "error", "message": WORDS, "code": 500}, "[DONE]"))),
    "200, a limit": rate(Model.wire(events(error(code="rate_limit_exceeded"))), "5 s", asked=1, more={"tries": 1}),
    "200, no credit": operator(Model.wire(events(error(code="insufficient_quota")))),
    "200, no answer": Row(Model.empty(), 1, True, COUNTED, STRANGE),
    "200, no JSON": Row(Model.wire("data: {broken\n\n", events("[DONE]")), 1, True, COUNTED, STRANGE),
    "200, a megabyte in a line": Row(Model.wire("data: " + "x" * (1 << 20)), 1, True, COUNTED, STRANGE),
    "200, too many calls": Row(Model.stream([], finish="tool_calls", calls=[{"index": i, "id": f"c{i}", "function": {"name": "f"}} for i in range(40)]),
                               1, True, COUNTED, STRANGE),
    "200, filtered": bad(Model.wire(events(finish("content_filter"), "[DONE]"))),
    "200, an error midway": Row(Model.error_in_stream(["half "]), 1, True, COUNTED, "broke here", half="half "),
    # --- connections
    "dropped": Row(Model.gone(), TRIES, True, COUNTED, LOST),
    "cut before the first piece": Row(Model.wire(": wait\n\n", Model.gone()), 2, True, COUNTED, LOST),
    "ended before the first piece": Row(Model.wire(": wait\n\n"), 2, True, COUNTED, LOST),
    "cut midway": Row(Model.wire(HALF, Model.gone()), 1, True, COUNTED, "broke here", half="half "),
    "silent": Row(Model.silent(), 1, True, COUNTED, SLOW, more={"first_token_timeout": "1s"}),
    "comments only": Row(Model.wire(": wait\n\n", Model.silent()), 1, True, COUNTED, SLOW, more={"first_token_timeout": "1s"}),
    "silent midway": Row(Model.wire(HALF, Model.silent()), 1, True, COUNTED, "broke here", half="half ", more={"idle_timeout": "1s"}),
}


@dataclasses.dataclass
class Outcome:
    asked: int
    health: dict
    at: float
    answer: str
    alone: str


def gateway_of(world, names):
    common = {"type": "openai", "base_url": world.model.base, "api_key": "env:MODEL_KEY", "context_tokens": 8000, "max_tokens": 1000}
    models = [{"name": f"m{n}", "model": name, "tries": TRIES, **common, **ROWS[name].more} for n, name in names]
    models += [{"name": "second", **common}, {"name": "wide", **common, "context_tokens": 16000}]
    routes = [{"name": f"r{n}", "models": [f"m{n}", "wide" if ROWS[name].wide else "second"]} for n, name in names]
    return world.gateway(None, models=models, routes=routes, chat={"rate_per_minute": 0, "rate_ip_per_minute": 0},
                         channels=[{"name": "web", "type": "web", "frames_per_second": 1000}]).start()


class Page:
    """A world, and somebody who asks the models and routes of its gateway at the same time, each in a thread of its own."""

    def __init__(self, world, names):
        self.world, self.names = world, names
        world.model.on("", self.behave)
        gateway = gateway_of(world, names)
        self.person = Person(gateway).connect(gateway)
        self.threads = {name: new_thread() for _, name in names}

    @staticmethod
    async def behave(request, ask):
        row = ROWS.get(ask.body["model"])
        return await (row.behave if row else Model.stream(["the other one"]))(request, ask)

    def choose(self, letter):
        for n, name in self.names:
            self.person.say(self.threads[name], f"/model {letter}{n}")

    def ask(self):
        for thread in self.threads.values():
            self.person.say(thread, "hello")

    def answers(self, name):
        return self.person.answers(self.threads[name])

    def wait(self, n):
        """Until each thread has so many answers."""
        wait_until(lambda: all(len(self.answers(name)) >= n for name in self.threads), 30, f"answer {n} in each thread")

    def look(self):
        """What became of the questions so far: {name: (how often it was asked, its health, when that was)}."""
        asked = [a.body["model"] for a in self.world.model.asks]
        health = {name: self.world.redis.get(f"provider:health:m{n}") for n, name in self.names}
        return {name: (asked.count(name), json.loads(health[name] or "null"), time.time()) for name in health}


@pytest.fixture(scope="module")
def outcomes(servers, template, tmp_path_factory):
    numbered = list(enumerate(ROWS))
    parts = [numbered[i:i + AT_ONCE] for i in range(0, len(numbered), AT_ONCE)]
    worlds = [World(servers, tmp_path_factory.mktemp("refusals"), template) for _ in parts]
    pages = [Page(world, part) for world, part in zip(worlds, parts)]

    def together(n, what, *arguments):
        for page in pages:
            getattr(page, what)(*arguments)
        for page in pages:
            page.wait(n)
    together(1, "choose", "r")
    together(2, "ask")
    seen = {name: found for page in pages for name, found in page.look().items()}
    together(3, "choose", "m")
    together(4, "ask")
    yield {name: Outcome(*seen[name], page.answers(name)[1], page.answers(name)[3]) for page in pages for name in page.threads}
    for world in worlds:
        world.close()


@pytest.mark.parametrize("name", ROWS)
def test_a_server_that_fails(outcomes, name):
    row, outcome = ROWS[name], outcomes[name]
    assert outcome.asked == row.asked, outcome
    assert (outcome.answer == "the other one") == row.other, outcome
    assert row.told in outcome.alone and outcome.alone.startswith(row.half), outcome
    assert WORDS not in outcome.answer + outcome.alone, "what servers say is for the log"
    health = outcome.health
    if row.health == WELL:
        assert health is None
    elif row.health == COUNTED:
        assert (health["status"], health["failures"], health["resting_until"]) == ("failing", 1, 0)
    else:
        assert (health["status"], health["failures"]) == ("resting", 0), "that it may not is no failure"
        long = health["resting_until"] / 1000 - outcome.at > LONG_MS / 1000 - 60
        assert long == (row.health == LONG)
