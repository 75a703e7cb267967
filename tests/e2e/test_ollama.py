"""Ollama's own API and OpenAI's Responses API as an independent mock speaks them, and people's answers through both."""
import json

import pytest

from harness.npm import aimock
from harness.wait import wait_until
from harness.webclient import Person, new_thread

FIXTURES = [
    {"match": {"userMessage": "story"}, "chunkSize": 3,
     "response": {"content": "Once upon a “time” – 😀 naïve, 深い.", "usage": {"prompt_tokens": 21, "completion_tokens": 9, "total_tokens": 30}}},
    {"match": {"userMessage": "think"}, "response": {"content": "So it is.", "reasoning": "Hm, let me see."}},
    {"match": {"userMessage": "busy", "sequenceIndex": 0}, "response": {"error": {"message": "server busy", "type": "server_error"},
                                                                         "status": 503}},
    {"match": {"userMessage": "busy", "sequenceIndex": 1}, "response": {"content": "Now I am free."}},
    {"match": {"userMessage": "refused"}, "response": {"error": {"message": "bad options", "type": "invalid_request_error"}, "status": 400}},
    {"match": {"userMessage": "missing"}, "response": {"error": {"message": "model 'm' not found", "type": "not_found"}, "status": 404}},
    {"match": {"userMessage": "broken"}, "latency": 40, "chunkSize": 4, "truncateAfterChunks": 6,
     "response": {"content": "This answer is never complete."}},
    {"match": {"userMessage": ""}, "response": {"content": "Hello there."}},
]


@pytest.fixture(params=["ollama", "responses"])
def kind(request):
    return request.param


@pytest.fixture
def mock(tmp_path):
    file = tmp_path / "fixtures.json"
    file.write_text(json.dumps({"fixtures": FIXTURES}))
    running = aimock(file)
    yield running
    running.stop()


@pytest.fixture
def chat(world, mock, kind):
    keys = {"ollama": {"base_url": mock.url, "keep_alive": "10m", "context_tokens": 8192},
            "responses": {"base_url": mock.url + "/v1", "api_key": "env:MODEL_KEY"}}[kind]
    gateway = world.gateway(None, models=[{"name": "m", "type": kind, "model": "some-model", **keys}]).start()
    return Chat(world, gateway)


class Chat:
    def __init__(self, world, gateway):
        self.world, self.gateway, self.thread = world, gateway, new_thread()
        self.page = Person(gateway).connect(gateway)

    def ask(self, text):
        n = len(self.page.answers(self.thread))
        self.page.say(self.thread, text)
        return wait_until(lambda: self.page.answers(self.thread)[n:], 30, f"the answer to {text!r}")[0]


def asked(mock):
    """The bodies of the requests that the mock has had."""
    return [entry["body"] for entry in mock.get("/__aimock/journal")]


def test_an_answer_is_streamed_and_its_tokens_are_counted(world, mock, chat, kind):
    assert chat.ask("a story") == "Once upon a “time” – 😀 naïve, 深い."
    world.wait_settled(1)
    [(prompt, completion)] = world.sql("SELECT prompt_tokens, completion_tokens FROM requests")
    if kind == "responses":
        assert (prompt, completion) == (21, 9)
    else:
        assert prompt > 0 and completion > 9, "this mock counts nothing for Ollama: estimated"


def test_the_conversation_goes_with_it(world, mock, chat, kind):
    assert chat.ask("hello") == "Hello there."
    world.wait_settled(1)
    assert chat.ask("hello again") == "Hello there."
    body = asked(mock)[-1]
    assert body["model"] == "some-model"
    talk = [(m["role"], m["content"]) for m in body["messages"] if m["role"] != "system"]
    assert talk == [("user", "hello"), ("assistant", "Hello there."), ("user", "hello again")]


def test_what_it_thinks_is_not_shown(chat):
    assert chat.ask("think") == "So it is."


def test_asked_again_when_it_is_busy(chat):
    assert chat.ask("busy") == "Now I am free."
    assert chat.gateway.metric("parley_model_retries_total") == 1


def test_refusals_are_told(chat, kind):
    chat.ask("refused")
    wait_until(lambda: "bad options" in chat.gateway.log())
    chat.ask("missing")
    wait_until(lambda: "model 'm' not found" in chat.gateway.log())
    assert ("ollama pull" in chat.gateway.log()) == (kind == "ollama")


def test_an_answer_that_breaks_off_is_not_asked_for_again(world, chat):
    chat.ask("broken")
    world.wait_settled(1)
    assert chat.gateway.metric("parley_model_requests_total", outcome="cut") == 1
    assert chat.gateway.metric("parley_model_retries_total") == 0


@pytest.mark.parametrize("kind", ["ollama", "openai"])
def test_vectors(world, mock, kind):
    """It answers Ollama as older ones did, and others with numbers whatever was asked for."""
    base = {"ollama": mock.url, "openai": mock.url + "/v1"}[kind]
    gateway = world.gateway(None, models=[{"name": "v", "type": kind, "base_url": base, "embeds": True}])
    done = gateway.run("embed", "some text")
    assert done.returncode == 0, done.stderr
    [line] = map(json.loads, done.stdout.splitlines())
    assert line["model"] == "v" and line["dimensions"] == len(line["embedding"]) > 0
