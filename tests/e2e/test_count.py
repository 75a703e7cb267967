"""Prompts near the end of the window, of models whose servers count the tokens."""
import pytest

from fakes.counting import FakeCounting
from test_commands import say

ROOM = 800  # of the window, beside the longest answer
BACKENDS = {"anthropic": "/v1", "gemini": "/v1beta", "responses": "/v1", "openai": "/v1"}
WORDS = 100  # of a message: the estimate is a token a word, the server counts 1.3


@pytest.fixture
def server():
    fake = FakeCounting(ROOM).start()
    yield fake
    fake.stop()


def talk(world, server, backend, n, **more):
    """The answers of a conversation of n messages."""
    world.serve(models=[{"name": "m", "type": backend, "base_url": server.url + BACKENDS[backend], "model": "real", "stream": False,
                         "tries": 1, "context_tokens": ROOM + 200, "max_tokens": 200, **more}], chat={"system_prompt": ""})
    alice = world.bot.person(7)
    return alice, [say(world, alice, " ".join(["abcdef"] * WORDS)) for i in range(n)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_the_server_counts_is_what_fits(world, server, backend):
    alice, answers = talk(world, server, backend, 11, count="exact")
    assert answers == ["ok"] * 11
    assert 0 < len(server.counts) < 8, "only when the window is nearly full"
    assert ROOM - 1.3 * (WORDS + 10) * 1.5 < max(server.questions) <= ROOM, "and as much as fits"
    assert "its server counted" in say(world, alice, "/why")


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_an_estimate_makes_too_long_is_asked_again_with_less(world, server, backend):
    server.rate = 1.7
    alice, answers = talk(world, server, backend, 9)
    assert answers == ["ok"] * 9
    assert max(server.questions) > ROOM and not server.counts, "or the test above shows nothing"
    assert world.gateways[0].log().count("too long, asking again with less") >= 1
    why = say(world, alice, "/why")
    assert "too long for this model" in why and "its server counted" not in why


def test_what_answers_tell_is_learned(world, server):
    server.rate, server.telling = 1.7, True
    _, answers = talk(world, server, "openai", 11)
    assert answers == ["ok"] * 11
    assert ROOM - 1.7 * (WORDS + 10) * 2 < max(server.questions) <= ROOM, "as much as fits, and nothing was refused"
    assert "too long" not in world.gateways[0].log()


def test_what_cannot_be_made_shorter_is_told(world, server):
    server.window = 50
    _, answers = talk(world, server, "anthropic", 1)
    assert "could not get an answer" in answers[0] and len(server.questions) == 1


def test_llama_cpp_lists_the_tokens(world, server):
    server.lists = True
    _, answers = talk(world, server, "openai", 9, count="exact")
    assert answers == ["ok"] * 9 and server.counts


def test_without_a_count_the_estimate_has_to_do(world, server):
    server.window, server.counting = 2000, False
    _, answers = talk(world, server, "gemini", 9, count="exact")
    assert answers == ["ok"] * 9
    assert "tokens not counted, estimating" in world.gateways[0].log()
    assert world.gateways[0].metric("parley_model_counts_total", outcome="failed") > 0


def test_who_cannot_count_is_named(world):
    done = world.gateway(None, models=[{"name": "m", "type": "ollama", "count": "exact"}]).run("check")
    assert done.returncode != 0 and 'the type "ollama" does not count' in done.stdout + done.stderr
