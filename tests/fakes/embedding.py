"""Vectors as Cohere and Gemini serve them: what their documentation demands is demanded.

    server = FakeEmbedding().start()
    server.cohere, server.gemini   base addresses
    vector("text")                 what it makes of it

https://docs.cohere.com/reference/embed, https://ai.google.dev/api/embeddings
"""
import hashlib
import json

from aiohttp import web

from .server import FakeServer

KEY, DIMENSIONS = "sk-test-0123456789", 8
INPUTS = {"search_document", "search_query", "classification", "clustering"}


def vector(text, n=DIMENSIONS):
    return [byte / 256 - 0.5 for byte in hashlib.sha256(text.encode()).digest()[:n]]


class FakeEmbedding(FakeServer):
    def __init__(self):
        super().__init__()
        self.asks, self.troubles = [], []  # troubles: (status, body, headers), each once
        self.cohere, self.gemini = self.url + "/v2", self.url + "/v1beta"
        self.app.router.add_post("/v2/embed", self._cohere)
        self.app.router.add_post("/v1beta/models/{name}:batchEmbedContents", self._gemini)

    async def _take(self, request):
        """The body of a request, or an answer to give at once."""
        body = json.loads(await request.text())
        self.asks.append(body)
        if not self.troubles:
            return body, None
        status, error, headers = self.troubles.pop(0)
        return body, web.json_response(error, status=status, headers=headers)

    async def _cohere(self, request):
        body, trouble = await self._take(request)
        if trouble is not None:
            return trouble
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return web.json_response({"id": "e", "message": "invalid api token"}, status=401)
        texts = body.pop("texts")
        known = {"model", "input_type", "embedding_types", "truncate", "output_dimension"}
        if set(body) - known or body["input_type"] not in INPUTS or body["truncate"] not in ("NONE", "START", "END") or not 1 <= len(texts) <= 96:
            return web.json_response({"id": "e", "message": "invalid request"}, status=400)
        n = body.get("output_dimension", DIMENSIONS)
        return web.json_response({
            "id": "e", "texts": texts, "embeddings": {form: [vector(text, n) for text in texts] for form in body["embedding_types"]},
            "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 2 * len(texts)}}, "response_type": "embeddings_by_type"})

    async def _gemini(self, request):
        body, trouble = await self._take(request)
        if trouble is not None:
            return trouble
        if request.headers.get("x-goog-api-key") != KEY:
            return self._google(403, "PERMISSION_DENIED")
        name, vectors = f"models/{request.match_info['name']}", []
        for one in body["requests"]:
            if one["model"] != name or set(one) - {"model", "content", "taskType", "title", "outputDimensionality"}:
                return self._google(400, "INVALID_ARGUMENT")
            text = "".join(part["text"] for part in one["content"]["parts"])
            vectors.append({"values": vector(text, one.get("outputDimensionality", DIMENSIONS))})
        return web.json_response({"embeddings": vectors})

    @staticmethod
    def _google(code, status):
        return web.json_response({"error": {"code": code, "message": "no", "status": status}}, status=code)
