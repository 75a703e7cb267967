"""Models that call tools in a conversation: the loop, what goes wrong in it, and calls that need a person's yes."""
import sys
import time

import pytest

from fakes import mcp
from fakes.mcp import FakeMcp, tool
from fakes.ports import free_port
from harness.peer import MODULES
from harness.servers import ROOT
from harness.wait import stays, wait_until
from test_commands import say

FAKES = ROOT / "tests/fakes"
SDK = {"name": "sdk", "command": ["node", str(FAKES / "mcp_sdk.mjs"), str(MODULES), "stdio"]}
ADD = ("sdk__add", {"a": 1, "b": 41})


@pytest.fixture
def server():
    one = FakeMcp().start()
    yield one
    one.stop()


@pytest.fixture
def srv(server):
    return {"name": "srv", "url": server.address, "timeout": "5s"}


def echo(text):
    return ("srv__echo", {"say": text})


def unfenced(result):
    lines = result.split("\n")
    return "\n".join(lines[1:-1]) if lines[0].startswith("<tool_result") else result


# --- the loop ------------------------------------------------------------------------------------------------------

def test_the_sdk_answers_a_call(world):
    world.model.on("sum", world.model.calling([ADD], text="Let me see."))
    world.serve(tools=[SDK])
    alice = world.bot.person(7)
    assert say(world, alice, "the sum?").startswith("Let me see.\n\ntools: ")
    first, second = world.model.asks
    assert "sdk__add" in first.offered and first.offered == second.offered
    (calls, results), = second.rounds
    assert [c["function"]["name"] for c in calls] == ["sdk__add"] and unfenced(results[0]) == "42"
    assert world.one("SELECT content FROM messages WHERE role = 'assistant'").startswith("Let me see."), "the text is all that is history"
    told = say(world, alice, "/why")
    assert "it called sdk__add: " in told and "failed" not in told, told
    say(world, alice, "and now?")
    assert not any(m["role"] == "tool" for m in world.model.asks[-1].body["messages"])


def test_usage_of_all_rounds_is_summed(world, srv):
    world.model.on("x", world.model.calling([echo("one")], [echo("two")]))
    world.serve(tools=[srv])
    say(world, world.bot.person(7), "x")
    prompt, = world.sql("SELECT prompt_tokens FROM requests WHERE status = 'answered'")[0]
    assert len(world.model.asks) == 3
    assert prompt == sum(sum(len(m["content"] or "") for m in a.body["messages"]) // 4 for a in world.model.asks)
