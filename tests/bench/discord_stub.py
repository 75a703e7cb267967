"""A Discord and a model without latency, for scripts/bench: one gateway session of zlib-stream, canned answers.

Only what a measurement needs. tests/fakes/discord.py is the strict one.
"""
import base64
import hashlib
import json
import random
import re
import socket
import struct
import threading
import zlib

BOT, APPLICATION, OURS = "900000000000000001", "900000000000000002", "900000000000000100"
N_GUILDS = 1000
WORDS = "the quick brown fox jumps over a lazy dog and then some more words come along to be ignored".split()


def snowflake(n):
    return str(1_100_000_000_000_000_000 + n)


def author(n):
    return {"id": snowflake(n), "username": f"person{n}", "global_name": f"Person {n}", "discriminator": "0",
            "avatar": "0123456789abcdef0123456789abcdef", "public_flags": 0}


def message(n, guild, content, mentions=()):
    return {"id": snowflake(10_000_000 + n), "channel_id": snowflake(guild * 100 + n % 20), "guild_id": snowflake(guild),
            "type": 0, "author": author(n % 5000), "content": content, "timestamp": "2026-11-26T12:00:00.000000+00:00",
            "edited_timestamp": None, "tts": False, "mention_everyone": False, "mentions": list(mentions), "mention_roles": [],
            "attachments": [], "embeds": [], "components": [], "pinned": False, "flags": 0, "nonce": str(n), "channel_type": 0,
            "member": {"roles": [snowflake(n % 50)], "joined_at": "2024-01-01T00:00:00.000000+00:00", "nick": None, "mute": False,
                       "deaf": False, "pending": False, "avatar": None, "flags": 0}}


def ignored(n, rand):
    """A busy server's mix, as our intents bring it."""
    guild, kind = rand.randrange(N_GUILDS), rand.random()
    text = " ".join(rand.choices(WORDS, k=rand.randint(3, 40)))
    if kind < 0.7:
        return "MESSAGE_CREATE", message(n, guild, text)
    if kind < 0.82:
        return "MESSAGE_UPDATE", dict(message(n, guild, text), embeds=[{"type": "link", "title": text}])
    if kind < 0.95:
        return "MESSAGE_REACTION_ADD", {"user_id": snowflake(n), "channel_id": snowflake(guild), "message_id": snowflake(n + 1),
                                        "guild_id": snowflake(guild), "emoji": {"id": None, "name": "🔥"}, "burst": False,
                                        "type": 0, "message_author_id": snowflake(n + 2)}
    return "CHANNEL_UPDATE", {"id": snowflake(n), "type": 0, "guild_id": snowflake(guild), "name": "general", "topic": text}


def for_us(n):
    where = {"channel_id": str(int(OURS) + n % 64), "author": author(n % 64)}
    return "MESSAGE_CREATE", dict(message(n, 1, f"<@{BOT}> ping {n}", [{"id": BOT, "username": "bench"}]), **where)


def guild_create(n, n_members=50):
    channels = [{"id": snowflake(n * 100 + k), "type": 0, "name": f"channel-{k}", "position": k, "topic": " ".join(WORDS),
                 "permission_overwrites": [], "last_message_id": snowflake(k), "parent_id": None} for k in range(50)]
    members = [{"user": author(n * 50 + k), "roles": [], "joined_at": "2024-01-01T00:00:00+00:00"} for k in range(n_members)]
    roles = [{"id": snowflake(n * 50 + k), "name": f"role {k}", "permissions": "2251799813685247", "color": k} for k in range(30)]
    return "GUILD_CREATE", {"id": snowflake(n), "name": f"Guild {n}", "channels": channels, "members": members, "roles": roles,
                            "threads": [], "presences": [], "voice_states": [], "large": True, "member_count": 5000}


class Stub:
    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.live, self.confirmed = threading.Event(), threading.Condition()
        self.seq = self.heard = self.answers = 0
        self.lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            connection, _ = self.listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        stream = connection.makefile("rb")
        while head := self._head(stream):
            length = int(re.search(rb"(?i)content-length: *(\d+)", head + b"content-length: 0")[1])
            body = stream.read(length)
            if b"upgrade: websocket" in head.lower():
                self._gateway(connection, stream, head)
                return
            connection.sendall(self._answer(head.split(b" ", 2)[0], head.split(b" ", 2)[1].decode(), body))

    @staticmethod
    def _head(stream):
        lines = []
        while (line := stream.readline()) not in (b"\r\n", b""):
            lines.append(line)
        return b"".join(lines)

    def _answer(self, method, path, body):
        kind, status = "application/json", "200 OK"
        if path.endswith("/chat/completions"):
            piece = {"choices": [{"index": 0, "delta": {"content": "pong"}, "finish_reason": None}]}
            end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
            text, kind = f"data: {json.dumps(piece)}\n\ndata: {json.dumps(end)}\n\ndata: [DONE]\n\n", "text/event-stream"
        elif path.endswith("/gateway/bot"):
            text = json.dumps({"url": f"ws://127.0.0.1:{self.port}", "shards": 1, "session_start_limit": {
                "total": 1000, "remaining": 1000, "reset_after": 0, "max_concurrency": 1}})
        elif path.endswith("/users/@me"):
            text = json.dumps({"id": BOT, "username": "bench"})
        elif path.endswith("/applications/@me"):
            text = json.dumps({"id": APPLICATION, "flags": 1 << 19})
        elif method == b"POST" and path.endswith("/messages"):
            with self.lock:
                self.answers += 1
                text = json.dumps({"id": snowflake(90_000_000 + self.answers), "content": json.loads(body)["content"]})
        else:
            text, status = "", "204 No Content"
        data = text.encode()
        return (f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nVia: 1.1 bench\r\nContent-Length: {len(data)}\r\n\r\n").encode() + data

    # --- the gateway -----------------------------------------------------------------------------------------

    def _gateway(self, connection, stream, head):
        key = re.search(rb"(?i)sec-websocket-key: *(\S+)", head)[1]
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
        connection.sendall(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())
        self.connection, self.packer = connection, zlib.compressobj()
        self._send({"t": None, "s": None, "op": 10, "d": {"heartbeat_interval": 600_000}})
        while frame := self._frame(stream):
            if frame["op"] == 2:
                connection.sendall(self.packed([("READY", {"v": 10, "user": {"id": BOT, "username": "bench"}, "guilds": [],
                                                           "session_id": "bench", "resume_gateway_url": f"ws://127.0.0.1:{self.port}",
                                                           "application": {"id": APPLICATION, "flags": 1 << 19}})]))
                self.live.set()
            elif frame["op"] == 1:
                self._send({"t": None, "s": None, "op": 11, "d": None})
                with self.confirmed:
                    self.heard = frame["d"] or 0
                    self.confirmed.notify_all()

    @staticmethod
    def _frame(stream):
        head = stream.read(2)
        if len(head) < 2 or head[0] & 15 == 8:
            return None
        length = head[1] & 127
        if length == 126:
            length = struct.unpack(">H", stream.read(2))[0]
        mask, data = stream.read(4), stream.read(length)
        return json.loads(bytes(b ^ mask[i % 4] for i, b in enumerate(data)))

    def _wrap(self, text):
        data = self.packer.compress(text.encode()) + self.packer.flush(zlib.Z_SYNC_FLUSH)
        size = bytes([len(data)]) if len(data) < 126 else struct.pack(">BH", 126, len(data)) if len(data) < 65536 \
            else struct.pack(">BQ", 127, len(data))
        return b"\x82" + size + data

    def _send(self, frame):
        self.connection.sendall(self._wrap(json.dumps(frame, separators=(",", ":"))))

    def packed(self, events):
        """Events as they go over the wire; they must be sent in the order of packing."""
        out = []
        for event, data in events:
            self.seq += 1
            out.append(self._wrap(json.dumps({"t": event, "s": self.seq, "op": 0, "d": data}, separators=(",", ":"))))
        return b"".join(out)

    def send_until_confirmed(self, wire, timeout=120):
        """Send, and wait until a heartbeat says that all of it was dealt with."""
        self.connection.sendall(wire)
        with self.confirmed:
            while self.heard < self.seq:
                self._send({"t": None, "s": None, "op": 1, "d": None})
                self.confirmed.wait(0.02)
                timeout -= 0.02
                if timeout < 0:
                    raise TimeoutError(f"heard {self.heard} of {self.seq}")
