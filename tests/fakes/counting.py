"""A fake of four APIs that count tokens: Anthropic, Gemini, OpenAI's Responses, and chat completions with vLLM's or llama.cpp's /tokenize.

    server = FakeCounting(window=800).start()

A word is `rate` tokens. A question of more than `window` is refused as too long, as the real ones do; any other is answered "ok".
"""
import json
import math

from aiohttp import web

from .server import FakeServer


def texts_of(body):
    """Every text for the model, whatever the API."""
    if isinstance(body, dict):
        return [t for key, value in body.items() for t in ([value] if key in ("text", "content", "system", "instructions")
                                                           and isinstance(value, str) else texts_of(value))]
    return [t for value in body for t in texts_of(value)] if isinstance(body, list) else []


class FakeCounting(FakeServer):
    def __init__(self, window, rate=1.3):
        super().__init__()
        self.window, self.rate = window, rate
        self.counts, self.questions = [], []  # the tokens of each
        self.counting = True  # False: what counts is broken
        self.telling = False  # an answer of chat completions says what the question had
        self.lists = False  # /tokenize lists the tokens only, as llama.cpp does
        add = self.app.router.add_post
        add("/v1/messages", self._answer(lambda: {"type": "message", "content": [{"type": "text", "text": "ok"}], "stop_reason": "end_turn"}))
        add("/v1/messages/count_tokens", self._count(lambda body, n: {"input_tokens": n}))
        add("/v1beta/models/real:generateContent", self._answer(
            lambda: {"candidates": [{"content": {"parts": [{"text": "ok"}]}, "finishReason": "STOP"}]}))
        add("/v1beta/models/real:countTokens", self._count(lambda body, n: {"totalTokens": n}))
        add("/v1/responses", self._answer(lambda: {"object": "response", "status": "completed", "output": [
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "ok"}]}]}))
        add("/v1/responses/input_tokens", self._count(lambda body, n: {"object": "response.input_tokens", "input_tokens": n}))
        add("/v1/chat/completions", self._answer(
            lambda: {"choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}]}))
        add("/tokenize", self._count(self._tokenized))

    def tokens(self, body):
        return math.ceil(sum(len(text.split()) for text in texts_of(body)) * self.rate)

    def _tokenized(self, body, n):
        if self.lists:
            return {"tokens": list(range(self.tokens({"content": body["content"]})))}
        n = self.tokens(body["messages"])
        return {"count": n, "max_model_len": self.window, "tokens": list(range(n))}

    def _answer(self, make):
        async def handle(request):
            n = self.tokens(json.loads(await request.text()))
            self.questions.append(n)
            if n > self.window:
                return web.json_response({"error": {"type": "invalid_request_error", "message": "prompt is too long"}}, status=400)
            told = {"usage": {"prompt_tokens": n, "completion_tokens": 1, "total_tokens": n + 1}} if self.telling else {}
            return web.json_response({**make(), **told})
        return handle

    def _count(self, make):
        async def handle(request):
            if not self.counting:
                return web.json_response({"error": {"message": "not today"}}, status=500)
            body = json.loads(await request.text())
            answer = make(body, self.tokens(body))
            self.counts.append(next((v for v in answer.values() if isinstance(v, int)), None) or len(answer["tokens"]))
            return web.json_response(answer)
        return handle
