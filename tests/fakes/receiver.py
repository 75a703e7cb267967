"""Somebody who gets webhooks: keeps what comes, and answers as a test wants."""
import asyncio
import json

from aiohttp import web

from .server import FakeServer


class Got:
    """One request."""

    def __init__(self, path, headers, body):
        self.path, self.headers, self.body = path, headers, body

    @property
    def id(self):
        return self.headers["webhook-id"]

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def type(self):
        return self.json["type"]

    @property
    def data(self):
        return self.json["data"]


class Receiver(FakeServer):
    """
    got      every request that came, in order
    answers  by path: a list of what to answer next, one a request; when it is used up, 204. An answer is a status,
             the arguments of a Response, "never", or "held": 204 once `released` is set
    """

    def __init__(self):
        super().__init__()
        self.got, self.answers = [], {}
        self.released = asyncio.Event()
        self.app.router.add_route("*", "/{name:.*}", self._take)

    async def _take(self, request):
        self.got.append(Got(request.path, dict(request.headers), (await request.read()).decode()))
        queue = self.answers.get(request.path)
        answer = queue.pop(0) if queue else 204
        if answer == "never":
            await asyncio.sleep(3600)
        if answer == "held":
            await self.released.wait()
            answer = 204
        if isinstance(answer, int):
            answer = {"status": answer}
        return web.Response(**answer)

    def of(self, path):
        return [got for got in list(self.got) if got.path == path]
