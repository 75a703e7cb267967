"""The HTTP API of the fake Discord: who may call, how often, and what goes wrong on purpose.
docs.discord.com/developers/reference"""
import asyncio
import dataclasses
import json
import re
import time
from typing import Callable, Optional
from urllib.parse import unquote

from aiohttp import web

from .discord_check import ApiError
from .discord_limits import Refusal
from .server import cut

PREFIX = "/api/v10"
TOKEN, NONE, INTERACTION = "token", "none", "interaction"  # how a route knows who calls
FORM_TYPES = "{'application/json', 'application/x-www-form-urlencoded', 'multipart/form-data'}"
CLOUDFLARE_BAN = ("<!doctype html><html><head><title>Access denied | discord.com used Cloudflare to restrict access</title>"
                  "</head><body><h1>Error 1015</h1><p>You are being rate limited</p></body></html>")

_message = "/channels/{channel}/messages/{message}"
_webhook = "/webhooks/{application}/{token}"
ROUTES = [
    ("GET", "/gateway", "r_gateway", NONE),
    ("GET", "/gateway/bot", "r_gateway_bot", TOKEN),
    ("GET", "/users/@me", "r_me", TOKEN),
    ("GET", "/users/@me/guilds", "r_guilds", TOKEN),
    ("POST", "/users/@me/channels", "r_open_dm", TOKEN),
    ("GET", "/applications/@me", "r_application", TOKEN),
    ("GET", "/oauth2/applications/@me", "r_application", TOKEN),
    ("GET", "/applications/{application}/commands", "r_commands", TOKEN),
    ("PUT", "/applications/{application}/commands", "r_set_commands", TOKEN),
    ("GET", "/guilds/{guild}/channels", "r_channels", TOKEN),
    ("GET", "/guilds/{guild}/threads/active", "r_threads", TOKEN),
    ("GET", "/channels/{channel}", "r_channel", TOKEN),
    ("POST", "/channels/{channel}/typing", "r_typing", TOKEN),
    ("GET", "/channels/{channel}/messages", "r_messages", TOKEN),
    ("POST", "/channels/{channel}/messages", "r_send", TOKEN),
    ("GET", _message, "r_message", TOKEN),
    ("PATCH", _message, "r_edit", TOKEN),
    ("DELETE", _message, "r_delete", TOKEN),
    ("PUT", _message + "/reactions/{emoji}/@me", "r_react", TOKEN),
    ("DELETE", _message + "/reactions/{emoji}/@me", "r_react", TOKEN),
    ("POST", "/interactions/{interaction}/{token}/callback", "r_callback", INTERACTION),
    ("POST", _webhook, "r_follow_up", INTERACTION),
] + [(method, _webhook + "/messages/@original", "r_original", INTERACTION) for method in ("GET", "PATCH", "DELETE")] + [
    (method, _webhook + "/messages/{message}", "r_answer", INTERACTION) for method in ("GET", "PATCH", "DELETE")]


def _pattern(route):
    return re.compile(re.sub(r"\{(\w+)\}", lambda m: f"(?P<{m[1]}>{'[^/]+' if m[1] in ('token', 'emoji') else '[0-9]{1,20}'})",
                             route))


COMPILED = [(method, _pattern(route), route, name, auth) for method, route, name, auth in ROUTES]


@dataclasses.dataclass
class Fault:
    """What happens to the next `times` calls of a route, of those for which `when(call)` is true."""
    kind: str  # "error", "limit", "cloudflare", "html", "lost_before", "lost_after", "delay", "hang"
    error: Optional[ApiError] = None
    refusal: Optional[Refusal] = None
    seconds: float = 0
    times: int = 1
    when: Callable = lambda call: True

    @classmethod
    def error_of(cls, status, code=0, message="", times=1, when=lambda call: True):
        """Also for 5xx: 500 to 504 come as JSON; `html` is what a broken proxy says."""
        return cls("error", ApiError(status, code, message or f"{status}: fault"), times=times, when=when)

    @classmethod
    def too_many(cls, retry_after, scope="user", times=1, when=lambda call: True):
        return cls("limit", refusal=Refusal(retry_after, scope), times=times, when=when)

    @classmethod
    def cloudflare(cls, retry_after=1, times=1, when=lambda call: True):
        """A 429 that is not Discord's: HTML, without a Via header."""
        return cls("cloudflare", seconds=retry_after, times=times, when=when)


@dataclasses.dataclass
class Call:
    method: str
    path: str  # behind the prefix, without the query
    at: float
    headers: dict
    query: dict
    route: str = ""
    body: object = None
    files: list = dataclasses.field(default_factory=list)
    bot: object = None
    status: int = 0  # 0: no answer was given
    code: int = 0  # of the error


def _html(status, text, via, **headers):
    if via:
        headers["Via"] = "1.1 google"
    return web.Response(status=status, text=text, content_type="text/html", headers=headers)


def _answer(status, body, headers=None):
    headers = dict(headers or {}, Via="1.1 google")
    if body is None:
        return web.Response(status=204, headers=headers)
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return web.Response(status=status, body=text.encode(), content_type="application/json", headers=headers)


async def _read_body(call, request):
    """JSON, or a form with JSON and files in it. A body of another kind is refused."""
    if call.method not in ("POST", "PUT", "PATCH"):
        return
    kind, raw = request.content_type, b""
    if kind == "multipart/form-data":
        form = await request.post()
        raw = form.get("payload_json", "{}").encode()
        call.files = [{"filename": f.filename, "content_type": f.content_type, "body": f.file.read()}
                      for k, f in form.items() if re.fullmatch(r"files\[\d+\]", k)]
    else:
        raw = await request.read()
        if raw and kind != "application/json":
            raise ApiError(400, 50035, "Invalid Form Body", {"_errors": [{
                "code": "CONTENT_TYPE_INVALID", "message": f'Expected "Content-Type" header to be one of {FORM_TYPES}.'}]})
    try:
        call.body = json.loads(raw) if raw else {}
    except ValueError:
        raise ApiError(400, 50109, "The request body contains invalid JSON.") from None
    if not isinstance(call.body, (dict, list)) or (isinstance(call.body, list) and call.method != "PUT"):
        raise ApiError(400, 50035, "Invalid Form Body")


class Rest:
    """Mixed into FakeDiscord."""

    async def handle_rest(self, request):
        call = Call(request.method, request.rel_url.raw_path[len(PREFIX):], time.time(), dict(request.headers),
                    dict(request.query))
        self.calls.append(call)
        token = re.fullmatch("Bot (.+)", request.headers.get("Authorization", ""))
        call.bot = self.bots.get(token[1]) if token else None
        if call.bot and call.bot.token_reset:
            call.bot = None
        if call.bot:
            call.bot.calls.append(call)
        answer = await self._checked(call, request)
        call.status = answer.status
        if call.status in (401, 403) or (call.status == 429 and answer.headers.get("X-RateLimit-Scope") != "shared"):
            self.invalid.append((time.time(), call.bot))
        return answer

    def invalid_count(self, bot=None):
        since = time.time() - 600
        return sum(1 for at, who in self.invalid if at > since and bot in (None, who))

    async def _checked(self, call, request):
        """What happens before Discord looks at the call, and then the call."""
        if self.invalid_count() >= self.invalid_limit:
            return _html(429, CLOUDFLARE_BAN, False, **{"Retry-After": "3600"})
        if not request.headers.get("User-Agent", "").startswith("DiscordBot ("):
            self.violations.append(f"User-Agent {request.headers.get('User-Agent')!r}")
            return _html(403, "<html><title>Attention Required! | Cloudflare</title></html>", False)
        if call.method in ("POST", "PUT", "PATCH") and not {"Content-Length", "Transfer-Encoding"} & set(request.headers):
            self.violations.append(f"{call.method} without Content-Length")
            return _html(411, "<html><title>Error 411 (Length Required)</title></html>", True)
        limits = {}
        try:
            await _read_body(call, request)
            return await self._routed(call, request, limits)
        except ApiError as e:
            call.code = e.code
            return _answer(e.status, e.body(), limits)

    def _find(self, call):
        found, others = None, False
        for method, pattern, route, name, auth in COMPILED:
            match = pattern.fullmatch(call.path)
            others = others or bool(match)
            if match and method == call.method:
                found = found or (route, name, auth, {k: unquote(v) for k, v in match.groupdict().items()})
        if not found and others:
            raise ApiError(405, 0, "405: Method Not Allowed")
        if not found:
            raise ApiError(404, 0, "404: Not Found")
        return found

    async def _routed(self, call, request, limits):
        call.route, name, auth, ids = self._find(call)
        if auth == TOKEN and not call.bot:
            raise ApiError(401, 0, "401: Unauthorized")
        refusal = self._limited(call, auth, ids, limits)
        if refusal:
            return self._refused(refusal)
        fault = self._fault(call)
        if fault:
            answer = await self._misbehave(fault, request, lambda: self._done(call, name, ids), limits)
            if answer is not None:
                return answer
        return _answer(200, self._done(call, name, ids), limits)

    def _done(self, call, name, ids):
        return getattr(self, name)(call, **ids)

    def _limited(self, call, auth, ids, limits):
        """What the bot has used up; interactions count by their token alone, and their callbacks not at all."""
        if auth == NONE or call.route.startswith("/interactions"):
            return None
        if auth == TOKEN:
            refusal = call.bot.limits.take_global()
            if refusal:
                return refusal
        major = ids.get("token") or ids.get("channel") or ids.get("guild") or ""
        bucket = call.bot.limits if auth == TOKEN else self.limits
        headers, refusal = bucket.take(call.method, call.route, major)
        limits.update(headers)
        return refusal

    @staticmethod
    def _refused(refusal, limits=None):
        headers, body = refusal.answer()
        return _answer(429, body, {**(limits or {}), **headers})

    # --- faults ----------------------------------------------------------------------------------------------

    def inject(self, method, path, fault):
        """method: or "*"; path: a regular expression for all of it, behind /api/v10."""
        self.faults.append((method, re.compile(path), fault))
        return fault

    def heal(self):
        self.faults.clear()

    def _fault(self, call):
        for method, pattern, fault in self.faults:
            if method in ("*", call.method) and pattern.fullmatch(call.path) and fault.times > 0 and fault.when(call):
                fault.times -= 1
                return fault
        return None

    async def _misbehave(self, fault, request, do, limits):
        if fault.kind == "error":
            raise fault.error
        if fault.kind == "limit":
            # The bucket itself is not empty: it is another limit, of which nothing was known.
            scope = fault.refusal.scope
            return self._refused(fault.refusal, {} if scope == "global" else limits)
        if fault.kind == "cloudflare":
            return _html(429, CLOUDFLARE_BAN, False, **{"Retry-After": str(int(fault.seconds) or 1)})
        if fault.kind == "html":
            return _html(502, "<html><head><title>502 Server Error</title></head><body></body></html>", True)
        if fault.kind == "lost_before":
            cut(request)
        if fault.kind == "lost_after":
            do()
            cut(request)
        if fault.kind == "hang":
            await asyncio.sleep(3600)
        await asyncio.sleep(fault.seconds)  # "delay"
        return None
