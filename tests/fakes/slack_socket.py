"""How a fake Slack brings events: Socket Mode, or signed calls of a URL; with acknowledgements and repetitions."""
import asyncio
import hashlib
import hmac
import itertools
import json
import secrets
import time
import urllib.parse

import aiohttp
from aiohttp import web


def sign(secret, stamp, body):
    return "v0=" + hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()


class Socket:
    def __init__(self, ws, request):
        self.ws, self.request = ws, request
        self.stale = False  # says nothing and hears nothing, but stays open

    async def say(self, message):
        if not self.stale:
            await self.ws.send_str(json.dumps(message))

    def drop(self):
        if self.request.transport:
            self.request.transport.abort()


class Delivery:
    """Mixed into FakeSlack."""

    def set_up_delivery(self):
        self.tickets, self.sockets, self.greeted = set(), [], 0
        self.sockets_max, self.socket_life = 10, 18000
        self.ack_seconds = 3.0  # then it is delivered again
        self.lose_acks = 0      # so many acknowledgements do not arrive
        self.acks = {}          # envelope id -> the payload of the answer
        self.envelopes = itertools.count(1)
        self.hook = None        # (url, signing secret): the other transport
        self.retry_seconds = (0.05, 0.2, 0.4)
        self.clock_skew = 0
        self.hook_answers = []  # (status, seconds, body, headers sent)
        self.background = set()
        self.app.router.add_get("/link", self._link)

    def new_ticket(self):
        ticket = secrets.token_hex(8)
        self.tickets.add(ticket)
        return f"ws://127.0.0.1:{self.port}/link?ticket={ticket}&app_id=A1"

    def later(self, coroutine):
        task = asyncio.get_running_loop().create_task(coroutine)
        self.background.add(task)
        task.add_done_callback(self.background.discard)

    # --- Socket Mode -----------------------------------------------------------------------------------------

    async def _link(self, request):
        ticket = request.query.get("ticket")
        if ticket not in self.tickets:
            return web.Response(status=403)
        self.tickets.discard(ticket)
        ws = web.WebSocketResponse(autoping=False)
        await ws.prepare(request)
        socket = Socket(ws, request)
        if len(self.sockets) >= self.sockets_max:
            await socket.say({"type": "disconnect", "reason": "too_many_websockets", "debug_info": {"host": "h"}})
            self.too_many += 1
        elif self.hello:
            self.sockets.append(socket)
            self.greeted += 1
            await socket.say({"type": "hello", "num_connections": len(self.sockets), "connection_info": {"app_id": "A1"},
                              "debug_info": {"host": "h", "started": "x", "build_number": 1, "approximate_connection_time": self.socket_life}})
        try:
            async for message in ws:
                if socket.stale:
                    continue
                if message.type == aiohttp.WSMsgType.PING:
                    await ws.pong(message.data)
                elif message.type == aiohttp.WSMsgType.TEXT:
                    self._heard(json.loads(message.data))
        finally:
            if socket in self.sockets:
                self.sockets.remove(socket)
        return ws

    def _heard(self, message):
        if self.lose_acks > 0:
            self.lose_acks -= 1
            return
        self.acks[message["envelope_id"]] = message.get("payload")

    def _next_socket(self):
        self.turn = getattr(self, "turn", 0) + 1
        return self.sockets[self.turn % len(self.sockets)] if self.sockets else None

    async def _envelope(self, kind, payload):
        id = f"env-{next(self.envelopes)}"
        for attempt in range(4):
            end = time.monotonic() + 20
            while not self.sockets and time.monotonic() < end:
                await asyncio.sleep(0.02)
            socket = self._next_socket()
            if socket is None:
                return
            try:
                await socket.say({"envelope_id": id, "type": kind, "payload": payload, "accepts_response_payload": kind != "events_api",
                                  "retry_attempt": attempt, "retry_reason": "timeout" if attempt else ""})
            except ConnectionError:
                continue
            end = time.monotonic() + self.ack_seconds
            while id not in self.acks and time.monotonic() < end:
                await asyncio.sleep(0.01)
            if id in self.acks:
                return

    async def _disconnect(self, reason, which=None):
        for socket in list(self.sockets)[:which]:
            await socket.say({"type": "disconnect", "reason": reason, "debug_info": {"host": "h"}})
            if reason == "link_disabled":
                await socket.ws.close()

    def disconnect(self, reason, which=None):
        self.run(self._disconnect(reason, which))

    def drop_sockets(self):
        self.call(lambda: [s.drop() for s in list(self.sockets)])

    def freeze_sockets(self):
        def freeze():
            for socket in list(self.sockets):
                socket.stale = True
                self.sockets.remove(socket)
        self.call(freeze)

    # --- calls of a URL --------------------------------------------------------------------------------------

    async def post(self, body, content_type, headers=None, secret=None):
        url, own = self.hook
        stamp = str(int(time.time() + self.clock_skew))
        head = {"Content-Type": content_type, "X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": sign(secret or own, stamp, body),
                **(headers or {})}
        began = time.monotonic()
        async with aiohttp.ClientSession() as session:
            try:
                async with session.post(url, data=body, headers=head, timeout=aiohttp.ClientTimeout(10)) as answer:
                    result = (answer.status, time.monotonic() - began, await answer.text(), dict(answer.headers))
            except (aiohttp.ClientError, asyncio.TimeoutError, ConnectionError) as e:
                result = (0, time.monotonic() - began, repr(e), {})
        self.hook_answers.append(result)
        return result

    async def _call_hook(self, kind, payload):
        if kind == "events_api":
            body, content_type = json.dumps(payload).encode(), "application/json"
        elif kind == "interactive":
            body, content_type = urllib.parse.urlencode({"payload": json.dumps(payload)}).encode(), "application/x-www-form-urlencoded"
        else:
            body, content_type = urllib.parse.urlencode(payload).encode(), "application/x-www-form-urlencoded"
        answer = await self.post(body, content_type)
        for n, wait in enumerate(self.retry_seconds if kind == "events_api" else (), 1):
            if 200 <= answer[0] < 300 or answer[3].get("X-Slack-No-Retry"):
                break
            await asyncio.sleep(wait)
            answer = await self.post(body, content_type, {"X-Slack-Retry-Num": str(n), "X-Slack-Retry-Reason": "http_error"})
        if kind == "slash_commands" and answer[2].startswith("{"):
            self.told.append(json.loads(answer[2]))

    def bring(self, kind, payload):
        """On the loop: deliver without waiting."""
        self.later(self._call_hook(kind, payload) if self.hook else self._envelope(kind, payload))
