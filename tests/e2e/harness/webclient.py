"""A person's browser as the gateway sees it: a cookie and WebSockets. Written on plain sockets, so that a test can also
send garbage or not read."""
import base64
import json
import os
import socket
import struct
import threading
import uuid

from .wait import wait_until

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Person:
    """Somebody with a cookie; may have several sockets open, at any gateway of one database."""

    def __init__(self, gateway):
        answer = gateway.request("POST", "/session", b"", {"Origin": gateway.url})
        assert answer.status == 200, answer.text
        self.cookie = answer.headers["Set-Cookie"].split(";")[0]

    def connect(self, gateway, read=True):
        return Socket(gateway, self.cookie, gateway.url, read)


class Refused(Exception):
    def __init__(self, status):
        super().__init__(f"HTTP {status}")
        self.status = status


class Socket:
    def __init__(self, gateway, cookie=None, origin=None, read=True):
        self.frames, self.closed = [], None  # closed: the code, once it is
        self._socket = socket.create_connection(("127.0.0.1", gateway.port), timeout=20)
        if not read:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lines = [f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}", "Upgrade: websocket", "Connection: Upgrade",
                 "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode()]
        lines += [f"Cookie: {cookie}"] * bool(cookie) + [f"Origin: {origin}"] * bool(origin)
        self._socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        self._buffer = b""
        while b"\r\n\r\n" not in self._buffer:
            data = self._socket.recv(65536)
            if not data:
                raise Refused(0)
            self._buffer += data
        head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
        status = int(head.split()[1])
        if status != 101:
            self._socket.close()
            raise Refused(status)
        self._socket.settimeout(None)
        if read:
            threading.Thread(target=self._read, daemon=True).start()

    # --- bytes -----------------------------------------------------------------------------------------------

    def _take(self, n):
        while len(self._buffer) < n:
            data = self._socket.recv(1 << 16)
            if not data:
                raise ConnectionError
            self._buffer += data
        taken, self._buffer = self._buffer[:n], self._buffer[n:]
        return taken

    def _read(self):
        whole = b""
        try:
            while True:
                first, second = self._take(2)
                n = second & 127
                if n == 126:
                    [n] = struct.unpack(">H", self._take(2))
                elif n == 127:
                    [n] = struct.unpack(">Q", self._take(8))
                payload = self._take(n)
                opcode = first & 15
                if opcode == PING:
                    self.send_frame(PONG, payload)
                elif opcode == CLOSE:
                    self.closed = struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else 1005
                elif opcode in (0, TEXT):
                    whole += payload
                    if first & 128:
                        self.frames.append(json.loads(whole))
                        whole = b""
        except OSError:
            self.closed = self.closed or 1006

    def send_raw(self, data):
        self._socket.sendall(data)

    def send_frame(self, opcode, payload, masked=True):
        n = len(payload)
        head = bytes([128 | opcode])
        bit = 128 if masked else 0
        head += bytes([bit | n]) if n < 126 else bytes([bit | 126]) + struct.pack(">H", n) if n < 65536 else (
            bytes([bit | 127]) + struct.pack(">Q", n))
        if masked:
            mask = os.urandom(4)
            key = (mask * (n // 4 + 1))[:n]
            payload = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(n, "big") if n else b""
            head += mask
        self.send_raw(head + payload)

    def close(self):
        try:
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the reading thread, too
        except OSError:
            pass
        self._socket.close()

    # --- what the page says and hears ------------------------------------------------------------------------

    def ask(self, kind, **fields):
        self.send_frame(TEXT, json.dumps({"type": kind, **fields}).encode())

    def say(self, thread, text, message_id=None):
        """Write a message, and return its id; say it with the same id again as often as you like."""
        message_id = message_id or str(uuid.uuid4())
        self.ask("send", id=message_id, thread=thread, text=text)
        return message_id

    def of(self, kind, **fields):
        return [f for f in list(self.frames) if f["type"] == kind and all(f.get(k) == v for k, v in fields.items())]

    def wait(self, kind, timeout=20, **fields):
        return wait_until(lambda: self.of(kind, **fields), timeout, f"a frame {kind} {fields}")[-1]

    def answers(self, thread):
        """Texts of the answers that were shown, each once, as a page shows them."""
        shown = {}
        for f in self.of("message", thread=thread, role="assistant"):
            shown.setdefault(f["id"], {})[f.get("part", 0)] = f["text"]
        return ["".join(parts[k] for k in sorted(parts)) for parts in shown.values()]

    def history(self, thread):
        """(role, text) of what is stored."""
        n = len(self.of("history", thread=thread))
        self.ask("history", thread=thread, limit=100)
        wait_until(lambda: len(self.of("history", thread=thread)) > n, what="the history")
        return [(m["role"], m["text"]) for m in self.of("history", thread=thread)[-1]["messages"]]


def new_thread():
    return str(uuid.uuid4())
