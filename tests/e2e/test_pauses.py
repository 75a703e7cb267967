"""Models that pause in the middle of an answer, by the answers of their servers that are recorded in tests/fixtures."""
import json

import pytest
from aiohttp import web

from fakes.server import FakeServer
from harness.servers import ROOT
from test_commands import say
from test_money import PRICES, dollars


class Recorded(FakeServer):
    """Answers each question with the next of the recorded streams, the last one for ever."""

    def __init__(self, folder, files):
        super().__init__()
        self.bodies, self.streams = [], [(ROOT / "tests/fixtures" / folder / name).read_bytes() for name in files]
        self.app.router.add_post("/{path:.*}", self._answer)

    async def _answer(self, request):
        self.bodies.append(json.loads(await request.text()))
        stream = self.streams[min(len(self.bodies), len(self.streams)) - 1]
        return web.Response(body=stream, headers={"Content-Type": "text/event-stream"})


@pytest.fixture
def recorded(world):
    servers = []

    def serve(kind, *files, **sections):
        servers.append(Recorded(kind, files).start())
        world.serve(models=[{"name": "test", "type": kind, "base_url": servers[0].url, "api_key": "env:MODEL_KEY",
                             "max_tokens": 100, **PRICES}], **sections)
        return servers[0]
    yield serve
    for server in servers:
        server.stop()


def test_the_server_of_a_model_pauses_while_it_searches(world, recorded):
    server, alice = recorded("anthropic", "pause.sse", "pause.sse", "text.sse"), world.bot.person(7)
    assert say(world, alice, "look it up") == "So farSo farHello, w\u00f6rld \U0001F600", "one answer, in one message"
    first, second, third = (body["messages"] for body in server.bodies)
    said = second[len(first):]
    assert [(m["role"], [b["type"] for b in m["content"]]) for m in said] == [
        ("assistant", ["server_tool_use", "web_search_tool_result", "text"])]
    assert said[0]["content"][0]["input"] == {"query": "x"}
    assert second == first + said and third[-1] == {"role": "assistant", "content": said[0]["content"] * 2}
    told = say(world, alice, "/why")
    assert "and 3 rounds" in told and "complete" in told, told
    assert world.sql("SELECT count(*), sum(prompt_tokens), sum(completion_tokens) FROM cost_records") == [(1, 3 * 117, 3 * 7)]


def test_an_answer_goes_on_by_its_token(world, recorded):
    server, alice = recorded("gemini", "continuation_token.sse", "text.sse"), world.bot.person(7)
    assert say(world, alice, "a long story") == "HelHello, w\u00f6rld \U0001F600"
    first, second = server.bodies
    assert second.pop("continuationToken") == "Tok/+=" and second == first, "the same request"


def test_pausing_over_and_over_has_an_end(world, recorded):
    server, alice = recorded("anthropic", "pause.sse"), world.bot.person(7)
    assert say(world, alice, "look it up") == "So far" * 6 + "\n\n(stopped: the model paused over and over)"
    assert len(server.bodies) == 6


def test_a_budget_ends_between_two_rounds(world, recorded):
    server = recorded("anthropic", "pause.sse", budgets=[{"for": "all", "day": "0.50"}])
    alice = world.bot.person(7)
    answer = say(world, alice, "look it up")
    assert answer.startswith("So far") and "a budget is used up" in answer, answer
    assert 1 < len(server.bodies) < 6 and dollars(world) <= 0.5
