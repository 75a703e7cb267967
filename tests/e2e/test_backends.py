"""Model backends against aimock, an independent imitation of their servers, with the web page as the channel."""
import json

import pytest

from harness.npm import aimock
from harness.peer import MODULES
from harness.servers import ROOT
from harness.wait import wait_until
from harness.webclient import Person, new_thread

STORY = "Once upon a time, in a w\u00f6rld of \U0001F600, there was **somebody** who wrote an answer of several pieces."
CUT = {"response": {"content": "This one is cut off in the middle of it."}, "latency": 60, "chunkSize": 5, "truncateAfterChunks": 5}


def failure(status, kind):
    return {"response": {"error": {"message": "Not now", "type": kind}, "status": status}}


def content(text, **more):
    return {"response": {"content": text, **more}}


ANSWERS = [
    ("a story", {**content(STORY), "latency": 120, "chunkSize": 12}),
    ("too many", failure(429, "rate_limit_error")), ("too many", content("Now it works.")),
    ("overloaded", failure(529, "overloaded_error")), ("overloaded", content("Now it works.")),
    ("gone", {**content("never seen"), "truncateAfterChunks": 1}), ("gone", content("Now it works.")),
    ("bad key", failure(401, "authentication_error")),
    ("cut", CUT),
    ("slowly", {**content(STORY), "streamingProfile": {"ttft": 300, "tps": 40, "jitter": 0.2}, "chunkSize": 6}),
    ("hang up", {**content("This one is hung up on " + "and on " * 40), "latency": 60, "chunkSize": 5, "disconnectAfterMs": 600}),
    ("think", content("Yes.", reasoning="Let me see: secret thoughts")),
    ("count", content("ok", usage={"prompt_tokens": 31, "completion_tokens": 7, "total_tokens": 38})),
    ("add up", {"response": {"toolCalls": [{"name": "sdk__add", "arguments": "{\"a\":1,\"b\":41}"}]}}),
    ("add up", content("That makes 42.")),
    ("call", {"response": {"toolCalls": [{"name": "rm", "arguments": "{\"all\":true}"}]}}),
    ("", content("As you say.")),
]
BACKENDS = {
    "openai": {"type": "openai", "base": "/v1", "temperature": 0.5},
    "openai-whole": {"type": "openai", "base": "/v1", "stream": False},
    "anthropic": {"type": "anthropic", "base": "/v1", "temperature": 0.5},
    "anthropic-2026": {"type": "anthropic", "base": "/v1", "version": "2026-10-21", "temperature": 0.5},
    "anthropic-whole": {"type": "anthropic", "base": "/v1", "stream": False},
    "gemini": {"type": "gemini", "base": "/v1beta", "temperature": 0.5},
    "gemini-whole": {"type": "gemini", "base": "/v1beta", "stream": False},
    "cohere": {"type": "cohere", "base": "/v2", "temperature": 0.5},
}
KEY = "sk-test-0123456789"


def fixtures():
    """The first that fits is served. What is there twice is served in turn, the last of it for ever."""
    parts = [part for part, _ in ANSWERS]
    return [{"match": {"userMessage": part, **({"sequenceIndex": parts[:n].count(part)} if part in parts[n + 1:] else {})}, **answer}
            for n, (part, answer) in enumerate(ANSWERS)]


class Backend:
    """One gateway in front of aimock, and somebody at its page."""

    def __init__(self, world, folder, settings, **sections):
        self.world, self.kind = world, settings["type"]
        (folder / "fixtures.json").write_text(json.dumps({"fixtures": fixtures()}))
        self.mock = aimock(folder / "fixtures.json")
        model = {"name": "test", "model": "test-model", "api_key": "env:MODEL_KEY", "base_url": self.mock.url + settings["base"],
                 "sees": True, **{k: v for k, v in settings.items() if k != "base"}}
        self.gateway = world.gateway(None, models=[model], **sections).start()
        self.page, self.thread = Person(self.gateway).connect(self.gateway), new_thread()

    def ask(self, text):
        """What the page shows in the end."""
        n = len(self.page.answers(self.thread))
        self.page.say(self.thread, text)
        wait_until(lambda: len(self.page.answers(self.thread)) > n, what=f"an answer to {text!r}")
        self.world.wait_settled()
        return self.page.answers(self.thread)[-1]

    @property
    def asks(self):
        """Every request as the mock understood it: {"path", "headers", "body", "response"}."""
        return self.mock.get("/__aimock/journal")

    @property
    def n_retries(self):
        return self.gateway.metric("parley_model_retries_total")


@pytest.fixture
def backend(world, tmp_path, request):
    one = Backend(world, tmp_path, BACKENDS[request.param])
    yield one
    one.mock.stop()


@pytest.fixture
def equipped(world, tmp_path, request):
    """With tools."""
    sdk = {"name": "sdk", "command": ["node", str(ROOT / "tests/fakes/mcp_sdk.mjs"), str(MODULES), "stdio"]}
    one = Backend(world, tmp_path, BACKENDS[request.param], tools=[sdk])
    yield one
    one.mock.stop()


ALL = pytest.mark.parametrize("backend", BACKENDS, indirect=True)
STREAMED = pytest.mark.parametrize("backend", [b for b in BACKENDS if "whole" not in b], indirect=True)


@STREAMED
def test_an_answer_streams(backend):
    assert backend.ask("a story") == STORY
    deltas = [d["text"] for d in backend.page.of("delta", thread=backend.thread)]
    assert len(deltas) >= 2 and STORY.startswith("".join(deltas)), "it grew before people's eyes"
    [ask] = backend.asks
    assert "stream" in ask["path"] if backend.kind == "gemini" else ask["body"]["stream"] is True
    assert ask["headers"]["accept"] == "text/event-stream"
    assert KEY not in backend.gateway.log()


@ALL
def test_the_model_sees_the_conversation(backend):
    for text in ("one", "two", "three"):
        assert backend.ask(text) == "As you say."
    body = backend.asks[-1]["body"]
    roles = [m["role"] for m in body["messages"]]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"], "as the mock understood it"
    assert [m["content"] for m in body["messages"][1:]] == ["one", "As you say.", "two", "As you say.", "three"]
    assert backend.kind == "openai" or body["max_tokens"] == 4096


@pytest.mark.parametrize("backend", ["anthropic", "anthropic-2026"], indirect=True)
def test_the_version_decides_about_sampling(backend):
    backend.ask("hello")
    [ask] = backend.asks
    assert ask["path"] == "/v1/messages" and ask["headers"]["x-api-key"]
    old = ask["headers"]["anthropic-version"] == "2023-06-01"
    assert ask["body"].get("temperature") == (0.5 if old else None)


@ALL
@pytest.mark.parametrize("trouble, status", [("too many", 429), ("overloaded", 529)])
def test_it_is_asked_again(backend, trouble, status):
    assert backend.ask(trouble) == "Now it works."
    assert backend.n_retries == 1
    assert [a["response"]["status"] for a in backend.asks] == [status, 200]


@STREAMED
def test_a_connection_lost_before_the_first_word(backend):
    assert backend.ask("gone") == "Now it works."
    assert backend.n_retries == 1 and len(backend.asks) == 2


@ALL
def test_a_bad_key_is_not_tried_again(backend):
    said = backend.ask("bad key")
    assert "could not" in said.lower() and KEY not in said and "Not now" not in said
    assert backend.n_retries == 0 and len(backend.asks) == 1
    backend.gateway.wait_log(r"warn turn .*model failed.*401: the API key was refused")


@STREAMED
def test_half_an_answer_is_kept_and_marked(backend):
    said = backend.ask("cut")
    assert said.startswith("This one") and "broke here" in said
    assert backend.n_retries == 0 and len(backend.asks) == 1, "not asked again once people saw a part"
    [(estimated, tokens)] = backend.world.sql("SELECT estimated, completion_tokens FROM cost_records")
    assert estimated and tokens >= len(said.split("_(")[0].split()), "what was written, not what was said of it at its beginning"


@STREAMED
def test_an_answer_at_the_pace_of_a_model(backend):
    assert backend.ask("slowly") == STORY
    assert backend.gateway.metric("parley_model_first_token_seconds_sum") >= 0.25
    assert len(backend.page.of("delta", thread=backend.thread)) >= 2


@STREAMED
def test_a_server_that_hangs_up_after_a_while(backend):
    said = backend.ask("hang up")
    assert said.startswith("This one is hung up") and "broke here" in said and len(backend.asks) == 1


CHAOS = {"drop": "io", "malformed": "proto", "disconnect": "unknown", "ratelimit": "limit"}


@pytest.mark.parametrize("kind", ["openai", "anthropic", "gemini", "cohere"])
def test_chaos(world, tmp_path, kind):
    """Whatever aimock does to one model, the other answers."""
    file = tmp_path / "fixtures.json"
    file.write_text(json.dumps({"fixtures": fixtures()}))
    mock = aimock(file)
    base = {"type": kind, "api_key": "env:MODEL_KEY", "base_url": mock.url + BACKENDS[kind]["base"], "model": "test-model"}
    models = [{"name": chaos, "tries": 1, "headers": [f"x-aimock-chaos-{chaos}: 1"], **base} for chaos in CHAOS]
    routes = [{"name": f"r-{chaos}", "models": [chaos, "good"]} for chaos in CHAOS]
    gateway = world.gateway(None, models=[*models, {"name": "good", **base}], routes=routes).start()
    page = Person(gateway).connect(gateway)
    for chaos, failed in CHAOS.items():
        thread = new_thread()
        page.say(thread, f"/model r-{chaos}")
        wait_until(lambda: len(page.answers(thread)) == 1)
        page.say(thread, "hello")
        wait_until(lambda: page.answers(thread)[1:] == ["As you say."], what=f"an answer in spite of {chaos}")
        gateway.wait_log(f"failed, asking another one.*model={chaos} next=good kind={failed}")
    mock.stop()


# aimock sends Cohere's thoughts as text.
@pytest.mark.parametrize("backend", [b for b in BACKENDS if b != "cohere"], indirect=True)
def test_thoughts_are_not_shown(backend):
    assert backend.ask("think") == "Yes."
    assert not any("secret" in str(frame) for frame in backend.page.frames)


@ALL
def test_tokens_are_counted(backend):
    assert backend.ask("count") == "ok"
    assert backend.world.sql("SELECT prompt_tokens, completion_tokens FROM requests") == [(31, 7)]


@ALL
def test_a_call_of_a_tool_is_no_answer(backend):
    said = backend.ask("call")
    assert "could not" in said.lower() and "rm" not in said
    backend.gateway.wait_log("it calls a tool instead of answering")


@pytest.mark.parametrize("equipped", BACKENDS, indirect=True)
def test_a_tool_is_called(equipped):
    """The call goes back as it came, and its result with it."""
    assert equipped.ask("add up") == "That makes 42."
    first, second = equipped.asks
    assert "sdk__add" in [t["function"]["name"] for t in first["body"]["tools"]]
    call, result = second["body"]["messages"][-2:]
    assert call["tool_calls"][0]["function"]["name"] == "sdk__add" and json.loads(call["tool_calls"][0]["function"]["arguments"]) == {"a": 1, "b": 41}
    assert result["role"] == "tool" and "42" in result["content"] and result["tool_call_id"] == call["tool_calls"][0]["id"]
