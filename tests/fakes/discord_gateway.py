"""The gateway of the fake Discord: docs.discord.com/developers/events/gateway

A session outlives its sockets and the process that had it: what happens meanwhile waits in it. It ends when the client
closes with 1000 or 1001, or when Discord says so.
"""
import asyncio
import json
import secrets
import time
import zlib
from collections import deque

from aiohttp import WSCloseCode, WSMsgType, web

from .discord_faults import ACK, BEAT, DISPATCH, HELLO, IDENTIFY, INVALID, RESUME, Strikes, frame
from .discord_world import GUILDS, MESSAGE_CONTENT

CLIENT_OPS = {BEAT, IDENTIFY, 3, 4, RESUME, 8, 31, 43}
KNOWN_INTENTS = (1 << 17) - 1 | 1 << 20 | 1 << 21 | 1 << 24 | 1 << 25
PAYLOAD_MAX, PAYLOADS_A_MINUTE = 4096, 120
PRIVILEGED = {1 << 1: "members", 1 << 8: "presences", MESSAGE_CONTENT: "message_content"}


class Session:
    def __init__(self, bot, intents, shard):
        self.bot, self.intents, self.shard = bot, intents, shard
        self.id = secrets.token_hex(16)
        self.seq, self.events = 0, []  # (seq, event, text): all of them
        self.socket = None
        self.alive = True

    def takes(self, guild, intent):
        wanted = (int(guild.id) >> 22) % self.shard[1] if guild else 0
        return self.alive and wanted == self.shard[0] and (not intent or self.intents & intent)

    def add(self, event, data):
        self.seq += 1
        text = frame(DISPATCH, data, self.seq, event)
        self.events.append((self.seq, event, text))
        if self.socket:
            self.socket.put(text)

    def end(self):
        """Discord has forgotten it: a resume gets op 9."""
        self.alive = False


class Socket(Strikes):
    """One connection. state: "hello", "greeted", "live", "over"; ended: (by whom, close code)."""

    def __init__(self, server, request):
        self.server, self.request = server, request
        self.path, self.query = request.path, dict(request.query)
        self.ws = web.WebSocketResponse(max_msg_size=1 << 20, timeout=5, compress=False)
        self.bot = self.session = None
        self.state, self.received, self.beats, self.ended = "hello", [], [], None
        self.acks, self.frozen, self.closing = True, False, None
        self._queue, self._times = asyncio.Queue(), deque()
        self._deflate = zlib.compressobj() if self.query.get("compress") == "zlib-stream" else None
        self._watch = None

    # --- out -------------------------------------------------------------------------------------------------

    def put(self, text):
        self._queue.put_nowait(text)

    def close(self, code):
        if not self.closing:
            self.closing = code
            self._queue.put_nowait(None)

    def abort(self):
        self.ended = self.ended or ("server", None)
        if self.request.transport:
            self.request.transport.abort()

    async def write(self):
        while True:
            text = await self._queue.get()
            if self.frozen:
                await asyncio.Event().wait()
            try:
                if text is None:
                    self.ended = ("server", self.closing)
                    await self.ws.close(code=self.closing, message=b"")
                    return
                await self._write(text)
            except (ConnectionError, RuntimeError):
                return  # the reader sees it, too

    async def _write(self, text):
        if not self._deflate:
            await self.ws.send_str(text)
            return
        data = self._deflated(text)
        if self.server.split and len(data) > 8:
            await self.ws.send_bytes(data[:len(data) // 2])
            data = data[len(data) // 2:]
        await self.ws.send_bytes(data)

    def _deflated(self, text):
        data = b""
        if isinstance(text, int):  # a bomb of that size
            zeros = b"0" * (1 << 20)
            data = self._deflate.compress(b'{"t":null,"s":null,"op":11,"d":"')
            data += b"".join(self._deflate.compress(zeros) for _ in range(text >> 20))
            text = '"}'
        return data + self._deflate.compress(text.encode()) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    # --- in --------------------------------------------------------------------------------------------------

    async def run(self):
        await self.ws.prepare(self.request)
        writer = asyncio.ensure_future(self.write())
        try:
            self._connected()
            async for message in self.ws:
                if not self.frozen and not self.closing:
                    self._message(message)
        except ConnectionError:
            pass
        finally:
            self._over()
            if self.closing and not writer.done():
                await asyncio.wait({writer}, timeout=6)
            writer.cancel()
        return self.ws

    def _over(self):
        self.state = "over"
        code = self.ws.close_code
        lost = code in (None, 0, WSCloseCode.ABNORMAL_CLOSURE)
        self.ended = self.ended or (("lost", None) if lost else ("client", code))
        if self._watch:
            self._watch.cancel()
        if self.session and self.session.socket is self:
            self.session.socket = None
            if self.ended[0] == "client" and self.ended[1] in (1000, 1001):
                self.session.end()

    def _connected(self):
        if self.query.get("v") != "10" or self.query.get("encoding") != "json":
            self._violation(f"connected with {self.query}")
            self.close(4012)
        elif not self._struck(self.server.gateway_fault("hello")):
            self.greet()

    def greet(self):
        self.state = "greeted"
        self.put(frame(HELLO, {"heartbeat_interval": self.server.heartbeat_ms, "_trace": ["[\"gateway-fake\",{}]"]}))
        self._expect_beat()

    def _expect_beat(self):
        """Who does not beat is dropped, after some patience."""
        if self._watch:
            self._watch.cancel()
        late = self.server.heartbeat_ms / 1000 * 2 + 2
        self._watch = asyncio.get_running_loop().call_later(late, self._missed)

    def _missed(self):
        self._violation("no heartbeat")
        self.close(4009)

    def _violation(self, text):
        (self.bot.violations if self.bot else self.server.violations).append(text)

    def _message(self, message):
        now = time.monotonic()
        self._times.append(now)
        while self._times[0] < now - 60:
            self._times.popleft()
        if len(self._times) > PAYLOADS_A_MINUTE:
            self._violation("more than 120 payloads in a minute")
            self.close(4008)
            return
        if message.type != WSMsgType.TEXT or len(message.data.encode()) > PAYLOAD_MAX:
            self._refuse(4002, "binary, or more than 4096 bytes")
            return
        try:
            payload = json.loads(message.data)
            op, data = payload["op"], payload.get("d")
        except (ValueError, KeyError, TypeError, AttributeError):
            self._refuse(4002, f"no payload: {message.data[:80]}")
            return
        self.received.append(payload)
        if op not in CLIENT_OPS:
            self._refuse(4001, f"opcode {op}")
        elif op == BEAT:
            self._beat(data)
        elif op == IDENTIFY:
            self._identify(data)
        elif op == RESUME:
            self._resume(data)
        elif self.state != "live":
            self._refuse(4003, f"opcode {op} before identify")

    def _refuse(self, code, why):
        self._violation(f"{why} (close code {code})")
        self.close(code)

    def _beat(self, seq):
        self.beats.append((time.time(), seq))
        if seq is not None and (isinstance(seq, bool) or not isinstance(seq, int)):
            self._refuse(4002, f"heartbeat with {seq!r}")
            return
        if self.session and seq is not None and seq > self.session.seq:
            self._violation(f"heartbeat with {seq} of {self.session.seq}")
        self._expect_beat()
        if self.acks:
            self.put(frame(ACK))

    # --- identify --------------------------------------------------------------------------------------------

    def _identify(self, data):
        if self.state == "live":
            self._refuse(4005, "identified twice")
            return
        problem = self._identify_problem(data)
        if problem:
            self._refuse(4002, problem)
            return
        bot = self.server.bots.get(data["token"])
        if not bot or bot.token_reset:
            self.server.violations.append("identify with a wrong token")
            self.close(4004)
            return
        self._adopt(bot)
        shard = data.get("shard", [0, 1])
        bot.identifies.append({"at": time.time(), "path": self.path, "query": self.query, "socket": self, **data})
        if self._permitted(bot, data, shard) and not self._struck(bot.gateway.next("identify")):
            self._begin(Session(bot, data["intents"], tuple(shard)))

    def _adopt(self, bot):
        if self.bot is not bot:
            self.bot = bot
            bot.sockets.append(self)

    @staticmethod
    def _identify_problem(data):
        if not isinstance(data, dict) or not isinstance(data.get("token"), str):
            return "identify without a token"
        properties = data.get("properties")
        if not isinstance(properties, dict) or any(not isinstance(properties.get(k), str) for k in ("os", "browser", "device")):
            return "identify without properties"
        if isinstance(data.get("intents"), bool) or not isinstance(data.get("intents"), int):
            return "identify without intents"
        if data.get("large_threshold") is not None and data["large_threshold"] not in range(50, 251):
            return "large_threshold"
        shard = data.get("shard", [0, 1])
        fine = isinstance(shard, list) and len(shard) == 2 and all(type(n) is int for n in shard)
        return None if fine else "shard"

    def _permitted(self, bot, data, shard):
        """Checks what comes out of the order of time; each identify counts, also a refused one."""
        if not 0 <= shard[0] < shard[1]:
            self._refuse(4010, f"shard {shard}")
        elif shard[1] < bot.shards_required:
            self._refuse(4011, f"only {shard[1]} shards")
        elif data["intents"] < 0 or data["intents"] & ~KNOWN_INTENTS:
            self._refuse(4013, f"intents {data['intents']}")
        elif any(data["intents"] & bit and not getattr(bot, name) for bit, name in PRIVILEGED.items()):
            self.close(4014)
        elif bot.session_limit["remaining"] <= 0:
            bot.violations.append("identify beyond session_start_limit: the token is reset")
            bot._reset_token()
            self.close(4004)
        else:
            bot.session_limit["remaining"] -= 1
            return self._in_time(bot, shard[0] % bot.max_concurrency)
        return False

    def _in_time(self, bot, bucket):
        now = time.monotonic()
        last = bot.identified.get(bucket, -1e9)
        if now - last >= self.server.identify_seconds:
            bot.identified[bucket] = now
            return True
        bot.violations.append(f"identify {now - last:.2f} s after another of its bucket")
        self.put(frame(INVALID, False))
        return False

    def _begin(self, session):
        bot = session.bot
        bot.sessions.append(session)
        self._attach(session)
        guilds = [g for g in self.server.guilds if bot in g.bots and session.takes(g, 0)]
        session.add("READY", {
            "v": 10, "user_settings": {}, "user": dict(bot.shown(), verified=True, mfa_enabled=True, email=None),
            "session_type": "normal", "session_id": session.id, "resume_gateway_url": self.server.resume_url,
            "relationships": [], "private_channels": [], "presences": [],
            "guilds": [{"id": g.id, "unavailable": True} for g in guilds],
            "guild_join_requests": [], "geo_ordered_rtc_regions": ["rotterdam"], "shard": list(session.shard),
            "auth": {}, "application": {"id": bot.application_id, "flags": bot.flags}, "_trace": []})
        for guild in guilds:
            if session.intents & GUILDS:
                session.add("GUILD_CREATE", guild.created(bot))
        self._live()

    def _attach(self, session):
        older = session.socket
        session.socket = self.session = None
        if older and older is not self:
            older.close(4000)
        session.socket, self.session = self, session
        self.state = "live"

    def _live(self):
        for at in ("ready", "live"):
            self._struck(self.bot.gateway.next(at))

    # --- resume ----------------------------------------------------------------------------------------------

    def _resume(self, data):
        if self.state == "live":
            self._refuse(4005, "resume of a session that goes on")
            return
        fine = isinstance(data, dict) and isinstance(data.get("session_id"), str) and type(data.get("seq")) is int
        if not fine or data["seq"] < 0:
            self._refuse(4002, "resume without session_id or seq")
            return
        bot = self.server.bots.get(data.get("token"))
        if not bot or bot.token_reset:
            self.close(4004)
            return
        self._adopt(bot)
        bot.resumes.append({"at": time.time(), "path": self.path, "query": self.query, "socket": self, **data})
        session = next((s for s in bot.sessions if s.id == data["session_id"] and s.alive), None)
        fault = bot.gateway.next("resume")
        if fault and fault.kind != "no_resumed" and self._struck(fault):
            return
        if not session:
            self.put(frame(INVALID, False))
        elif data["seq"] > session.seq:
            session.end()
            self._refuse(4007, f"resume at {data['seq']} of {session.seq}")
        else:
            self._replay(session, data["seq"], not fault or fault.kind != "no_resumed")

    def _replay(self, session, seq, confirm):
        self._attach(session)
        for n, _, text in [e for e in session.events if e[0] > seq and e[1] != "RESUMED"]:
            self.put(text)
        if confirm:
            session.add("RESUMED", {"_trace": []})
            self._live()
        else:
            self.state = "greeted"


class Gateway:
    """Mixed into FakeDiscord."""

    def gateway_fault(self, at):
        return next(filter(None, (bot.gateway.next(at) for bot in self.bots.values())), None)

    async def handle_gateway(self, request):
        fault = self.gateway_fault("connect")
        if fault:
            return web.Response(status=fault.value, text="<html><h1>refused</h1></html>", content_type="text/html")
        socket = Socket(self, request)
        self.sockets.append(socket)
        return await socket.run()
