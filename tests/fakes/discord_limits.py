"""The rate limits of the fake Discord: docs.discord.com/developers/topics/rate-limits"""
import dataclasses
import hashlib
import math
import time
from collections import deque

# How many in how many seconds. Discord publishes none of them: these are what its answers have been seen to say.
DEFAULT = (50, 1.0)
USUAL = {
    ("POST", "/channels/{channel}/messages"): (5, 5.0),
    ("PATCH", "/channels/{channel}/messages/{message}"): (5, 5.0),
    ("DELETE", "/channels/{channel}/messages/{message}"): (5, 1.0),
    ("POST", "/channels/{channel}/typing"): (5, 5.0),
    ("GET", "/channels/{channel}/messages"): (5, 5.0),
    ("PUT", "/channels/{channel}/messages/{message}/reactions/{emoji}/@me"): (1, 0.25),
    ("DELETE", "/channels/{channel}/messages/{message}/reactions/{emoji}/@me"): (1, 0.25),
    ("POST", "/webhooks/{application}/{token}"): (5, 5.0),
    ("PATCH", "/webhooks/{application}/{token}/messages/{message}"): (5, 5.0),
    ("PATCH", "/webhooks/{application}/{token}/messages/@original"): (5, 5.0),
}


@dataclasses.dataclass
class Refusal:
    """A 429. scope: "user", "shared" or "global"."""
    retry_after: float
    scope: str = "user"
    headers: dict = dataclasses.field(default_factory=dict)

    def answer(self):
        """Its headers and its body: the one rounds up to whole seconds, the other does not round."""
        is_global = self.scope == "global"
        headers = dict(self.headers, **{"Retry-After": str(math.ceil(self.retry_after)), "X-RateLimit-Scope": self.scope})
        if is_global:
            headers["X-RateLimit-Global"] = "true"
        text = "The resource is being rate limited." if self.scope == "shared" else "You are being rate limited."
        return headers, {"message": text, "retry_after": round(self.retry_after, 3), "global": is_global}


class Limits:
    """Buckets of one bot. scale: of the seconds of every bucket; everyone: calls a second, of all routes together."""

    def __init__(self):
        self.scale, self.everyone = 1.0, 50
        self.routes = dict(USUAL)
        self._buckets = {}  # (method, route, major) -> [remaining, reset]
        self._calls = deque()

    def of(self, method, route, limit, seconds):
        """Change the limit of one route: its {} as in the table above."""
        self.routes[method, route] = (limit, seconds)
        self._buckets.clear()

    def headers(self, method, route, limit, remaining, reset):
        after = max(0.0, reset - time.monotonic())
        digest = hashlib.md5(f"{method} {route}".encode()).hexdigest()
        return {"X-RateLimit-Limit": str(limit), "X-RateLimit-Remaining": str(remaining),
                "X-RateLimit-Reset": f"{time.time() + after:.3f}", "X-RateLimit-Reset-After": f"{after:.3f}",
                "X-RateLimit-Bucket": digest}

    def take_global(self):
        now = time.monotonic()
        while self._calls and self._calls[0] <= now - 1:
            self._calls.popleft()
        if len(self._calls) >= self.everyone:
            return Refusal(self._calls[0] + 1 - now, "global")
        self._calls.append(now)
        return None

    def take(self, method, route, major):
        """The headers of the answer, and a Refusal when the bucket is empty."""
        limit, seconds = self.routes.get((method, route), DEFAULT)
        now = time.monotonic()
        bucket = self._buckets.get((method, route, major))
        if not bucket or now >= bucket[1]:
            bucket = self._buckets[method, route, major] = [limit, now + seconds * self.scale]
        if bucket[0] <= 0:
            headers = self.headers(method, route, limit, 0, bucket[1])
            return headers, Refusal(bucket[1] - now, "user", headers)
        bucket[0] -= 1
        return self.headers(method, route, limit, bucket[0], bucket[1]), None

    def empty(self, method, route, major, seconds):
        """As if others had used it up: for `seconds` from now."""
        self._buckets[method, route, major] = [0, time.monotonic() + seconds]
