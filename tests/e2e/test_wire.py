"""Answers byte for byte as servers of OpenAI's form send them, over a socket, and what people and the books make of each. All are asked
for at the same time."""
import asyncio
import dataclasses
import gzip
import json
import threading
import zlib

import pytest

from fakes.openai import FakeOpenAI as Model
from harness.servers import ROOT
from harness.wait import wait_until
from harness.webclient import Person, new_thread
from test_tools import SDK, unfenced

HELLO = "Hello, w\u00f6rld \U0001F600"
STEP = 7  # bytes in a write


def recorded(name):
    return (ROOT / "tests/fixtures/openai" / name).read_bytes()


OPENAI = recorded("openai.sse")
DONE = b"data: [DONE]\n\n"


def event(delta, reason=None, **more):
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **more}).encode() + b"\n\n"


def text(content):
    return event({"content": content})


def usage(prompt, completion):
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


STOP, USED = event({}, "stop"), b'data: {"choices":[],"usage":' + json.dumps(usage(3, 2)).encode() + b"}\n\n"


@dataclasses.dataclass
class Row:
    sent: bytes
    said: str
    tokens: tuple = None  # None: nobody said
    kind: str = "text/event-stream"
    headers: dict = None
    cost: float = None
    first: object = None  # what the first try gets instead

    async def behave(self, request, ask, again):
        if self.first and not again:
            return await self.first(request, ask)
        parts = [self.sent[i:i + STEP] for i in range(0, len(self.sent), STEP)] if len(self.sent) < 10_000 else [self.sent]
        return await Model.wire(*parts, kind=self.kind, headers=self.headers)(request, ask)


def alike(sent, **more):
    return Row(sent, HELLO, (9, 5), **more)


def packed(how):
    return alike(how(OPENAI), headers={"Content-Encoding": "deflate" if how is zlib.compress else "gzip"})


LOADING = Model.status(503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}})
ROWS = {
    # --- framing
    "as it should be": alike(OPENAI),
    "lines end with CR": alike(recorded("openai_cr.sse")),
    "lines end with CR LF": alike(recorded("openai_crlf.sse")),
    "a mark at the beginning": alike(recorded("openai_bom.sse")),
    "no space": alike(recorded("openai_no_space.sse")),
    "no final newline": alike(recorded("openai_no_final_newline.sse")),
    "never done": alike(recorded("openai_no_done.sse")),
    "done and a blank": alike(recorded("openai_done_blank.sse")),
    "done without a space": alike(OPENAI.replace(b"data: [DONE]", b"data:[DONE]")),
    "events after the end": alike(OPENAI + text("never") + b'data: {"error":{"message":"never"}}\n\n'),
    "usage before the end": Row(text("well") + USED + STOP + DONE, "well", (3, 2)),
    "usage before the text": Row(USED + text("well") + STOP + DONE, "well", (3, 2)),
    "a long line": Row(text("we") + event({"content": "ll", "obfuscation": "x" * 700_000}) + STOP + USED + DONE, "well", (3, 2)),
    "other fields, other events": Row(b"retry: 10\nid: 1\nevent: x\n" + text("well") + b"event: ping\n\n: hm\n\n" + b"data:\n\n" + STOP + DONE, "well"),
    "two lines of one value": Row(b'data: {"choices":[{"index":0,\ndata: "delta":{"content":"well"}}]}\n\n' + STOP + DONE, "well"),
    "gzip": packed(gzip.compress),
    "deflate": packed(zlib.compress),
    "unstreamed, packed": Row(gzip.compress(recorded("whole.json")), "All at once.", (9, 5), "application/json", {"Content-Encoding": "gzip"}),
    # --- servers
    "Azure": alike(recorded("azure.sse")),
    "OpenRouter": Row(recorded("openrouter.sse"), "Yes.", (20, 8), cost=0.00014),
    "OpenRouter, failing at once": Row(recorded("openrouter.sse"), "Yes.", (20, 8), cost=0.00014, first=Model.wire(recorded("openrouter_error.sse"))),
    "vLLM": Row(recorded("vllm_usage_each.sse"), "ab", (5, 2)),
    "vLLM, failing at once": Row(text("well") + STOP + USED + DONE, "well", (3, 2), first=Model.wire(recorded("vllm_error.sse"))),
    "llama.cpp": Row(recorded("llamacpp.sse"), "ok", (4, 1)),
    "llama.cpp, loading": Row(recorded("llamacpp.sse"), "ok", (4, 1), first=LOADING),
    "LM Studio": Row(text("We") + text("ll.") + event({}, "stop", stats={}, usage=usage(3, 2)) + DONE, "Well.", (3, 2)),
    "Groq": Row(recorded("groq.sse"), "fast", (11, 3)),
    "DeepSeek": Row(recorded("deepseek.sse"), "\u6df1\u3044", (7, 6)),
    "DeepSeek, not streamed": Row(recorded("whole_after_blank_lines.json"), "All at once.", (9, 5), "application/json"),
    "Mistral": Row(recorded("mistral_thinking.sse"), "Yes.\n\n_(cut: the model's length limit)_", (1, 2)),
    "Mistral, not streamed": Row(recorded("mistral_whole.json"), "In parts.", (9, 5), "application/json"),
    "Ollama": Row(recorded("ollama.sse"), "Hi there", (26, 28)),
}


@pytest.fixture(scope="module")
def asked(shared_world):
    """(the world, its page, the thread of each row), once all are answered."""
    world = shared_world

    async def behave(request, ask):
        again = sum(a.last == ask.last for a in world.model.asks) > 1
        return await ROWS[ask.last].behave(request, ask, again)
    world.model.on("", behave)
    gateway = world.gateway(None).start()
    page, threads = Person(gateway).connect(gateway), {name: new_thread() for name in ROWS}
    for name, thread in threads.items():
        page.say(thread, name)
    world.wait_settled(len(ROWS), 30)
    wait_until(lambda: all(page.answers(thread) for thread in threads.values()), what="all are shown")
    return world, page, threads


@pytest.mark.parametrize("name", ROWS)
def test_an_answer_as_it_comes(asked, name):
    world, page, threads = asked
    row = ROWS[name]
    assert page.answers(threads[name]) == [row.said]
    asks = [ask for ask in world.model.asks if ask.last == name]
    assert len(asks) == (2 if row.first else 1)
    assert asks[0].headers["Accept-Encoding"] == "gzip, deflate"
    request = page.of("accepted", thread=threads[name])[0]["request"]
    [(prompt, completion)] = world.sql("SELECT prompt_tokens, completion_tokens FROM requests WHERE id = %s", request)
    [(cost, estimated)] = world.sql("SELECT cost, estimated FROM cost_records WHERE request_id = %s", request)
    assert estimated == (row.tokens is None)
    assert row.tokens in (None, (prompt, completion))
    assert (cost and float(cost)) == row.cost, "what a server says that it cost, it did"


def test_what_is_compressed_streams_all_the_same(world):
    """What the server has flushed is shown while it goes on."""
    packer, seen = zlib.compressobj(wbits=31), threading.Event()

    async def until_seen(request, ask):
        while not seen.is_set():
            await asyncio.sleep(0.02)
    begin = packer.compress(text("Once ")) + packer.flush(zlib.Z_SYNC_FLUSH)
    end = packer.compress(text("upon a time.") + STOP + DONE) + packer.flush()
    world.model.on("", Model.wire(begin, until_seen, end, headers={"Content-Encoding": "gzip"}))
    gateway = world.gateway(None).start()
    page, thread = Person(gateway).connect(gateway), new_thread()
    page.say(thread, "a story")
    page.wait("delta", thread=thread, text="Once ")
    seen.set()
    wait_until(lambda: page.answers(thread) == ["Once upon a time."])


def test_what_openrouter_thought_goes_back_with_the_calls(world):
    call = recorded("openrouter_tools.sse").replace(b'"name":"w","arguments":"{}"', rb'"name":"sdk__add","arguments":"{\"a\":1,\"b\":41}"')

    async def behave(request, ask):
        return await (Model.stream(["It is 42."]) if ask.rounds else Model.wire(call))(request, ask)
    world.model.on("", behave)
    gateway = world.gateway(None, tools=[SDK]).start()
    page, thread = Person(gateway).connect(gateway), new_thread()
    page.say(thread, "the sum?")
    wait_until(lambda: page.answers(thread) == ["It is 42."])
    assistant, result = world.model.asks[1].body["messages"][-2:]
    assert unfenced(result["content"]) == "42" and assistant["tool_calls"][0]["id"] == "a"
    assert assistant["reasoning_details"] == [
        {"type": "reasoning.text", "text": 'Let me "look".', "signature": "c2ln", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "eA==", "id": "rs_1", "index": 1},
        {"type": "reasoning.summary", "summary": "I looked."}]
