"""A fake of an OpenAI-compatible server: POST /v1/chat/completions, streamed, and GET /v1/models.

    model = FakeOpenAI().start()
    model.on("weather", model.status(429, {"error": {...}}, {"Retry-After": "1"}), times=1)
    model.on("story", model.stream(["Once ", "upon "], pause=0.5))
    model.on("sum", model.calling([("sdk__add", {"a": 1, "b": 2})]))

Without a rule that fits the last user message it streams "echo: " and that message. Every ask is in `asks`.
"""
import asyncio
import dataclasses
import itertools
import json
import threading
import time

from aiohttp import web

from .server import FakeServer, cut


@dataclasses.dataclass
class Ask:
    body: dict
    headers: dict
    at: float
    cancelled: bool = False  # the client closed the connection before the end
    finished: bool = False

    @property
    def last(self):
        return next((m["content"] for m in reversed(self.body["messages"]) if m["role"] == "user"), "")

    @property
    def rounds(self):
        """The messages with calls that follow the last question, each with the results: [(calls, [content, ...]), ...]."""
        messages = self.body["messages"]
        last = max(i for i, m in enumerate(messages) if m["role"] == "user")
        rounds = []
        for m in messages[last + 1:]:
            if m["role"] == "assistant":
                rounds.append((m["tool_calls"], []))
            else:
                rounds[-1][1].append(m["content"])
        return rounds

    @property
    def results(self):
        return [content for _, contents in self.rounds for content in contents]

    @property
    def offered(self):
        return [t["function"]["name"] for t in self.body.get("tools", [])]

    @property
    def history(self):
        return [(m["role"], m["content"]) for m in self.body["messages"] if m["role"] != "system"]


@dataclasses.dataclass
class Rule:
    part: str
    behave: object
    times: float


def problem_of(messages):
    """What OpenAI refuses: a call without its result, a result without its call."""
    due = []
    for m in messages:
        if m["role"] == "tool":
            if m["tool_call_id"] not in due:
                return "messages with role 'tool' must be a response to a preceding message with 'tool_calls'"
            due.remove(m["tool_call_id"])
        elif due:
            return "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'"
        due += [c["id"] for c in m.get("tool_calls", [])]
    return due and "tool_call_ids did not have response messages"


class FakeOpenAI(FakeServer):
    def __init__(self):
        super().__init__()
        self.asks, self.rules = [], []
        self.key = None  # when set, others are refused with 401
        self.delay = 0.0  # before the first byte of an echo
        self.app.router.add_post("/v1/chat/completions", self._completions)
        self.app.router.add_get("/v1/models", self._models)

    @property
    def base(self):
        return self.url + "/v1"

    def on(self, part, behave, times=float("inf")):
        """Asks whose last user message contains `part` are answered by `behave(request, ask)`, so many times."""
        self.rules.insert(0, Rule(part, behave, times))

    def forget(self):
        self.rules.clear()

    async def _models(self, request):
        return web.json_response({"object": "list", "data": [{"id": "test-model", "object": "model", "created": 0,
                                                              "owned_by": "parley"}]})

    async def _completions(self, request):
        ask = Ask(json.loads(await request.text()), dict(request.headers), time.time())
        self.asks.append(ask)
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            return web.json_response({"error": {"message": "Incorrect API key provided", "type": "invalid_request_error",
                                                "param": None, "code": "invalid_api_key"}}, status=401)
        if problem := problem_of(ask.body["messages"]):
            return web.json_response({"error": {"message": problem, "type": "invalid_request_error", "param": "messages", "code": None}},
                                     status=400)
        behave = self._echo
        for rule in self.rules:
            if rule.part in ask.last and rule.times > 0:
                rule.times -= 1
                behave = rule.behave
                break
        try:
            response = await behave(request, ask)
            ask.finished = True
            return response
        except (ConnectionError, asyncio.CancelledError):
            ask.cancelled = True
            raise

    async def _echo(self, request, ask):
        await asyncio.sleep(self.delay)
        words = f"echo: {ask.last}".split(" ")
        return await self.stream([words[0]] + [" " + w for w in words[1:]])(request, ask)

    # --- behaviours ------------------------------------------------------------------------------------------

    @staticmethod
    def stream(pieces, pause=0.0, finish="stop", done=True, cut_after=None, eol="\n", comments=False, chunk=None, drip=0.0, usage=True,
               calls=()):
        """
        calls      deltas of tool calls, behind the pieces
        pause      seconds between pieces
        done       False: the connection ends without `[DONE]`
        cut_after  so many pieces, then the connection is dropped
        eol        of the stream's lines
        comments   keep-alive comments between the events
        chunk      write the bytes in chunks of this size, cutting code points and lines
        drip       seconds between chunks
        """
        async def behave(request, ask):
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)

            async def write(text):
                data = text.encode().replace(b"\n", eol.encode())
                step = chunk or len(data)
                for i in range(0, len(data), step):
                    await response.write(data[i:i + step])
                    if chunk:
                        await asyncio.sleep(drip)

            def event(delta, reason=None, **more):
                choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}]
                return "data: " + json.dumps({
                    "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": int(ask.at), "model": ask.body["model"],
                    "choices": choices, "usage": None, **more}, ensure_ascii=False) + "\n\n"

            await write(event({"role": "assistant", "content": ""}))
            for n, piece in enumerate(pieces):
                if cut_after is not None and n >= cut_after:
                    cut(request)
                if n and pause:
                    await asyncio.sleep(pause)
                if comments:
                    await write(": keep-alive\n\n")
                await write(event({"content": piece}))
            for call in calls:
                await write(event({"tool_calls": [call]}))
            if not done:
                return response
            await write(event({}, finish))
            if usage and (ask.body.get("stream_options") or {}).get("include_usage"):
                n_prompt = sum(len(m["content"] or "") for m in ask.body["messages"]) // 4
                await write(event(None, usage={"prompt_tokens": n_prompt, "completion_tokens": len(pieces),
                                               "total_tokens": n_prompt + len(pieces)}))
            await write("data: [DONE]\n\n")
            return response
        return behave

    @classmethod
    def calling(cls, *rounds, text="", then=None):
        """
        The model calls tools in so many rounds, then says what they returned.
        rounds  lists of (name, arguments); arguments: an object, or the text that stands there
        text    what it says before the calls of each round
        then    the behaviour afterwards
        """
        async def behave(request, ask):
            n = len(ask.rounds)
            if n >= len(rounds):
                return await (then or cls.stream(["tools: " + " | ".join(ask.results)]))(request, ask)
            deltas = []
            for i, (name, arguments) in enumerate(rounds[n]):
                written = arguments if isinstance(arguments, str) else json.dumps(arguments)
                half = len(written) // 2
                deltas.append({"index": i, "id": f"call_{n}_{i}", "type": "function", "function": {"name": name, "arguments": ""}})
                deltas += [{"index": i, "function": {"arguments": part}} for part in (written[:half], written[half:])]
            return await cls.stream([text] if text else [], finish="tool_calls", calls=deltas)(request, ask)
        return behave

    @classmethod
    def endless(cls, pause=0.01, words=("more ", "and ", "{n} ")):
        """A stream with no end, which is no loop as long as it counts."""
        def pieces():
            for n in itertools.count(1):
                for word in words:
                    yield word.format(n=n)

        class Forever:
            def __iter__(self):
                return pieces()
        return cls.stream(Forever(), pause=pause)

    @staticmethod
    def status(code, body="", headers=None, kind="text/html"):
        """kind: of a body that is a text; others are JSON."""
        async def behave(request, ask):
            if isinstance(body, str):
                return web.Response(status=code, text=body, headers=headers, content_type=kind)
            return web.json_response(body, status=code, headers=headers)
        return behave

    @staticmethod
    def wire(*parts, kind="text/event-stream", headers=None):
        """Exactly these bytes, each part in a write of its own; or a behaviour in their place: `gone()` drops the connection there."""
        async def behave(request, ask):
            response = web.StreamResponse(headers={"Content-Type": kind, **(headers or {})})
            await response.prepare(request)
            for part in parts:
                if callable(part):
                    await asyncio.sleep(0.05)  # what was written has left
                    await part(request, ask)
                else:
                    await response.write(part if isinstance(part, bytes) else part.encode())
            return response
        return behave

    @classmethod
    def too_many(cls, retry_after=1):
        return cls.status(429, {"error": {"message": "Rate limit reached", "type": "requests", "param": None,
                                          "code": "rate_limit_exceeded"}}, {"Retry-After": str(retry_after)})

    @classmethod
    def broken(cls, code=500):
        return cls.status(code, {"error": {"message": "The server had an error", "type": "server_error", "param": None,
                                           "code": None}})

    @classmethod
    def html(cls, code=200):
        return cls.status(code, "<!DOCTYPE html><html><body>It works!</body></html>")

    @classmethod
    def empty(cls):
        return cls.stream([])

    @classmethod
    def huge(cls, n_bytes=10 << 20):
        return cls.stream(["x" * 4096] * (n_bytes // 4096))

    @staticmethod
    def plain(text):
        """Not streamed although asked to."""
        async def behave(request, ask):
            return web.json_response({"id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": "m", "choices": [
                {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})
        return behave

    @staticmethod
    def silent(seconds=3600):
        """Takes the request and never says a word."""
        async def behave(request, ask):
            until = time.monotonic() + seconds
            while request.transport and not request.transport.is_closing() and time.monotonic() < until:
                await asyncio.sleep(0.02)
            cut(request)
        return behave

    @classmethod
    def held(cls, text):
        """(behaviour, release): the answer comes when the test calls release()."""
        released = threading.Event()

        async def behave(request, ask):
            while not released.is_set():
                await asyncio.sleep(0.02)
            return await cls.stream([text])(request, ask)
        return behave, released.set

    @staticmethod
    async def _begun(request, pieces):
        """A stream that has brought these pieces, and goes on."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": piece}}]}).encode() + b"\n\n")
        return response

    @classmethod
    def muttering(cls, pieces, pause=0.05):
        """These pieces, then keep-alive comments for ever."""
        async def behave(request, ask):
            response = await cls._begun(request, pieces)
            while True:
                await response.write(b": keep-alive\n\n")
                await asyncio.sleep(pause)
        return behave

    @staticmethod
    def gone():
        """Drops the connection instead of an answer."""
        async def behave(request, ask):
            cut(request)
        return behave

    @classmethod
    def error_in_stream(cls, pieces=("half ",)):
        async def behave(request, ask):
            response = await cls._begun(request, pieces)
            await response.write(b'data: {"error":{"message":"overloaded","code":503}}\n\n')
            return response
        return behave
