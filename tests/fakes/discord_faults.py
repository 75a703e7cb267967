"""What goes wrong with sockets of the fake Discord on purpose, and the frames they carry."""
import dataclasses
import json

DISPATCH, BEAT, IDENTIFY, RESUME, RECONNECT, INVALID, HELLO, ACK = 0, 1, 2, 6, 7, 9, 10, 11
ENDS_SESSION = {1000, 1001, 4003, 4006, 4007, 4009}


def compact(value):
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    halves = any("\ud800" <= c <= "\udfff" for c in text)  # of characters that were cut: as Discord sends them, escaped
    return json.dumps(value, separators=(",", ":")) if halves else text


def frame(op, data=None, seq=None, event=None):
    """In the order of keys that Discord has: the payload comes last."""
    return compact({"t": event, "s": seq, "op": op, "d": data})


@dataclasses.dataclass
class GatewayFault:
    """What happens to the next `times` sockets that come to the state `at`."""
    kind: str
    at: str  # "connect", "hello", "identify", "resume", "ready" (READY or RESUMED was sent), "live"
    value: object = None
    times: int = 1


class Faults:
    """For tests: bot.gateway.close(4000), bot.gateway.op7(at="ready"), ... At "live", the sockets that are live now, or
    the next one. "connect" and "hello" are before anybody knows whose socket it is: any bot's."""

    def __init__(self, bot):
        self.bot, self.armed = bot, []

    def arm(self, kind, at="live", value=None, times=1):
        fault = GatewayFault(kind, at, value, times)
        self.bot.server.call(self._arm, fault)
        return fault

    def _arm(self, fault):
        live = [s for s in self.bot.sockets if s.state == "live"] if fault.at == "live" else []
        for socket in live:
            socket.strike(fault)
        if not live:
            self.armed.append(fault)

    def heal(self):
        self.armed.clear()

    def next(self, at):
        for fault in self.armed:
            if fault.at == at and fault.times > 0:
                fault.times -= 1
                return fault
        return None

    def drop(self, at="live", times=1):
        """The connection is gone, without a close frame."""
        return self.arm("drop", at, times=times)

    def close(self, code, at="live", times=1, ends=None):
        """ends: whether the session has ended with it; None: as the code says."""
        return self.arm("close", at, (code, ends), times)

    def op7(self, at="live", times=1):
        return self.arm("op7", at, times=times)

    def op9(self, resumable=False, at="live", times=1):
        """Instead of READY or RESUMED, when at "identify" or "resume"."""
        return self.arm("op9", at, resumable, times)

    def beat(self):
        """Discord asks for a heartbeat."""
        return self.arm("beat")

    def no_ack(self, at="live", times=1):
        return self.arm("no_ack", at, times=times)

    def no_hello(self, times=1):
        return self.arm("silence", "hello", times=times)

    def no_ready(self, times=1):
        return self.arm("silence", "identify", times=times)

    def no_resumed(self, times=1, replay=True):
        """Events that were missed come, unless not replay; but RESUMED does not."""
        return self.arm("no_resumed" if replay else "silence", "resume", times=times)

    def bomb(self, at="live", size=96 << 20, times=1):
        """A little that inflates to `size` bytes. Of zlib-stream only."""
        return self.arm("bomb", at, size, times)

    def raw(self, text, at="live", times=1):
        """A message that is this text, which may be no JSON."""
        return self.arm("raw", at, text, times)

    def huge_guild(self, size=4 << 20, at="live", times=1):
        """A GUILD_CREATE of that many bytes, as a large server's."""
        return self.arm("huge_guild", at, size, times)

    def freeze(self, at="live", times=1):
        """Nothing is read nor written any more, and nothing closed."""
        return self.arm("freeze", at, times=times)

    def refuse(self, status=502, times=1):
        """The WebSocket handshake is answered so."""
        return self.arm("refuse", "connect", status, times)


class Strikes:
    """Mixed into Socket: one method a fault. True: what was to come does not."""

    def _struck(self, fault):
        """True: what was to come does not."""
        return bool(fault and self.strike(fault))

    def strike(self, fault):
        return getattr(self, "_f_" + fault.kind)(fault.value)

    def _f_drop(self, _):
        self.abort()
        return True

    def _f_close(self, value):
        code, ends = value
        if self.session and (code in ENDS_SESSION if ends is None else ends):
            self.session.end()
        self.close(code)
        return True

    def _f_op7(self, _):
        self.put(frame(RECONNECT))

    def _f_op9(self, resumable):
        if self.session and not resumable:
            self.session.end()
        if self.session and self.session.socket is self:
            self.session.socket, self.state = None, "greeted"
        self.put(frame(INVALID, resumable))
        return True

    def _f_beat(self, _):
        self.put(frame(BEAT))

    def _f_no_ack(self, _):
        self.acks = False

    def _f_silence(self, _):
        return True

    def _f_bomb(self, size):
        assert self._deflate, "a bomb needs zlib-stream"
        self.put(size)

    def _f_raw(self, text):
        self.put(text)

    def _f_huge_guild(self, size):
        guild = next(g for g in self.server.guilds if self.bot in g.bots)
        self.session.add("GUILD_CREATE", guild.created(self.bot, padding=size))

    def _f_freeze(self, _):
        self.frozen = True
        self.request.transport.pause_reading()
        return True
