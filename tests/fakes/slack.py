"""A fake Slack: the Web API, Socket Mode, the Events API, and people in workspaces.

    slack = FakeSlack().start()
    team = slack.add_team(); general = team.channel(); alice = team.person()
    slack.say(general, alice, "<@UBOT1> hello")
"""
import itertools
import json
import re
import time

from aiohttp import web

from .server import FakeServer, cut
from .slack_methods import ARGUMENTS, Methods, Refusal
from .slack_socket import Delivery
from .slack_world import Team


class Fault:
    """What becomes of the next `times` calls of a method. after: it is done all the same, and its answer lost or wrong."""

    def __init__(self, behave, times=1, after=False, where=None):
        self.behave, self.times, self.after, self.where = behave, times, after, where


class FakeSlack(Methods, Delivery, FakeServer):
    def __init__(self):
        super().__init__()
        self.app_token, self.signing_secret = "xapp-1-A1-0123456789abcdef", "8f742231b10e8888abcd99yyyzzz85a5"
        self.client_id, self.client_secret, self.codes = "1.2", "client-secret-0123456789", {}
        self.teams, self.calls, self.faults = {}, [], {}
        self.limits = {}          # method -> (calls, seconds): more are refused
        self.blocked = {}         # (method, team) -> until
        self.called_while_blocked = 0
        self.hello, self.too_many = True, 0
        self.no_streams = set()   # kinds of channels that refuse them
        self.page_max = 1000
        self.response_urls, self.told = {}, []  # told: what came back by a response_url, or as the answer to a command
        self._ts = itertools.count(1)
        self._ids = itertools.count(1)
        self.set_up_delivery()
        self.app.router.add_route("*", "/api/{method}", self._method)
        self.app.router.add_post("/respond/{id}", self._respond)
        self.files, self.asked_for_files = {}, []  # path -> content; Authorization of each request
        self.app.router.add_get("/files-pri/{tail:.*}", self._file)

    async def _file(self, request):
        """Who has no token gets a page to log in, with 200."""
        self.asked_for_files.append(request.headers.get("Authorization"))
        if self.asked_for_files[-1] not in [f"Bearer {t.token}" for t in self.teams.values()]:
            return web.Response(text="<!DOCTYPE html><html>Sign in</html>", content_type="text/html")
        if request.path not in self.files:
            return web.Response(status=404)
        return web.Response(body=self.files[request.path], content_type="image/png")

    @property
    def api_url(self):
        return f"{self.url}/api"

    def add_team(self):
        team = Team(self, f"T{len(self.teams) + 1}")
        self.teams[team.id] = team
        return team

    def next_ts(self):
        return f"{int(time.time())}.{next(self._ts):06d}"

    # --- the Web API -----------------------------------------------------------------------------------------

    def inject(self, method, fault):
        self.call(lambda: self.faults.setdefault(method, []).append(fault))

    def called(self, method):
        return [c for c in self.calls if c[0] == method]

    def _fault(self, method, arguments):
        for fault in self.faults.get(method, []):
            if fault.times > 0 and (fault.where is None or fault.where(arguments)):
                fault.times -= 1
                return fault
        return None

    def _who(self, request, method):
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if method == "oauth.v2.access":
            return None
        if not token:
            raise Refusal("not_authed")
        if method == "apps.connections.open":
            if token != self.app_token:
                raise Refusal("invalid_auth" if token.startswith("xapp") else "not_allowed_token_type")
            return None
        team = next((t for t in self.teams.values() if t.token == token), None)
        if team is None:
            raise Refusal("invalid_auth")
        return team

    def _limit(self, method, team):
        key, now = (method, team.id if team else ""), time.monotonic()
        if self.blocked.get(key, 0) > now:
            self.called_while_blocked += 1
            return self.blocked[key] - now
        if method in self.limits:
            n, seconds = self.limits[method]
            recent = [c for c in self.calls if c[0] == method and c[2] > now - seconds]
            if len(recent) >= n:
                self.blocked[key] = now + 1
                return 1
        return 0

    async def _method(self, request):
        method = request.match_info["method"]
        try:
            team = self._who(request, method)
            if method not in ARGUMENTS:
                raise Refusal("unknown_method")
            arguments = await self.arguments(method, request)
            wait = self._limit(method, team)
            if wait:
                return self.answer({"ok": False, "error": "ratelimited"}, 429, {"Retry-After": str(int(wait) + 1)})
            self.calls.append((method, arguments, time.monotonic()))
            fault = self._fault(method, arguments)
            if fault and not fault.after:
                return await fault.behave(request)
            body = self.dispatch(method, team, arguments)
            if fault:
                return await fault.behave(request)
            return self.answer({"ok": True, **body}, headers={"X-OAuth-Scopes": "chat:write"})
        except Refusal as refusal:
            return self.answer(refusal.body)

    # --- faults ----------------------------------------------------------------------------------------------

    @staticmethod
    async def lost(request):
        cut(request)

    @staticmethod
    def error(word):
        async def behave(request):
            return web.json_response({"ok": False, "error": word})
        return behave

    @staticmethod
    def status(code, text="<html><body>Oops</body></html>"):
        async def behave(request):
            return web.Response(status=code, text=text, content_type="text/html")
        return behave

    def limited(self, method, seconds=1):
        async def behave(request):
            for team in self.teams.values():
                self.blocked[(method, team.id)] = time.monotonic() + seconds - 0.2
            return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": str(seconds)})
        return behave

    # --- response_url ----------------------------------------------------------------------------------------

    def _new_response_url(self, channel, thread=None):
        id = f"r{next(self._ids)}"
        self.response_urls[id] = [channel, 5, thread]
        return f"{self.url}/respond/{id}"

    async def _respond(self, request):
        entry, body = self.response_urls.get(request.match_info["id"]), json.loads(await request.text())
        if entry is None or entry[1] == 0:
            return web.Response(status=404, text="used_url")
        entry[1] -= 1
        self.told.append(body)
        channel = entry[0]
        if body.get("response_type") == "in_channel":
            channel.add(user=channel.team.bot_user, bot_id=channel.team.bot_id, text=body.get("text", ""), blocks=body.get("blocks") or [],
                        thread_ts=body.get("thread_ts"))
        return web.Response(text="ok")

    # --- what people do --------------------------------------------------------------------------------------

    def _event(self, team, event, **outer):
        self.bring("events_api", {
            "token": "x", "team_id": team.id, "context_team_id": team.id, "context_enterprise_id": None, "api_app_id": "A1",
            "event": event, "type": "event_callback", "event_id": f"Ev{next(self._ids)}", "event_time": int(time.time()),
            "authorizations": [{"enterprise_id": None, "team_id": team.id, "user_id": team.bot_user, "is_bot": True,
                                "is_enterprise_install": False}], "is_ext_shared_channel": False, "event_context": "4-x", **outer})

    def _tell(self, channel, message, **more):
        team = channel.team
        core = {"user": message.user, "type": "message", "ts": message.ts, "client_msg_id": f"c{next(self._ids)}", "text": message.text,
                "team": team.id, "channel": channel.id, "event_ts": message.ts, "blocks": [{"type": "rich_text", "elements": []}], **more}
        if message.thread_ts:
            root = channel.messages[message.thread_ts]
            core.update(thread_ts=message.thread_ts, parent_user_id=root.user)
        self._event(team, {**core, "channel_type": channel.kind})
        if channel.kind != "im" and f"<@{team.bot_user}>" in message.text:
            self._event(team, {**core, "type": "app_mention"})

    def say(self, channel, user, text, thread=None, **more):
        def act():
            message = channel.add(user=user, text=text, thread_ts=thread)
            self._tell(channel, message, **more)
            return message
        return self.call(act)

    def bot_says(self, channel, text, thread=None):
        def act():
            message = channel.add(user="UOTHERBOT", bot_id="BOTHER", text=text, thread_ts=thread)
            self._tell(channel, message, bot_id="BOTHER", subtype="bot_message")
            self._tell(channel, message, bot_id="BOTHER")
            return message
        return self.call(act)

    def edit(self, channel, message, text):
        def act():
            before = message.json()
            message.text = text
            ts = self.next_ts()
            self._event(channel.team, {
                "type": "message", "subtype": "message_changed", "hidden": True, "channel": channel.id, "channel_type": channel.kind, "ts": ts,
                "event_ts": ts, "message": {**message.json(), "edited": {"user": message.user, "ts": ts}}, "previous_message": before})
        self.call(act)

    def delete(self, channel, message):
        def act():
            channel.messages.pop(message.ts)
            ts = self.next_ts()
            self._event(channel.team, {
                "type": "message", "subtype": "message_deleted", "hidden": True, "channel": channel.id, "channel_type": channel.kind, "ts": ts,
                "event_ts": ts, "deleted_ts": message.ts, "previous_message": message.json()})
        self.call(act)

    def react(self, channel, user, message, name, back=False):
        def act():
            self._event(channel.team, {
                "type": "reaction_removed" if back else "reaction_added", "user": user, "reaction": name, "item_user": message.user,
                "item": {"type": "message", "channel": channel.id, "ts": message.ts}, "event_ts": self.next_ts()})
        self.call(act)

    def slash(self, channel, user, text, command="/parley"):
        def act():
            self.bring("slash_commands", {
                "token": "x", "team_id": channel.team.id, "team_domain": "d", "channel_id": channel.id, "channel_name": "c", "user_id": user,
                "user_name": "ada", "command": command, "text": text, "api_app_id": "A1", "is_enterprise_install": "false",
                "response_url": self._new_response_url(channel), "trigger_id": f"{next(self._ids)}.1.x"})
        self.call(act)

    def press(self, channel, user, message, action):
        assert action in message.buttons, message.buttons
        block, button = next((b, e) for b in message.blocks for e in b.get("elements", ()) if e.get("action_id") == action)
        pressed = {"type": "button", "action_id": action, "block_id": block.get("block_id", "b"), "action_ts": self.next_ts(),
                   "text": button["text"], **{k: button[k] for k in ("value", "style") if k in button}}

        def act():
            container = {"type": "message", "message_ts": message.ts, "channel_id": channel.id, "is_ephemeral": False}
            if message.thread_ts:
                container["thread_ts"] = message.thread_ts
            self.bring("interactive", {
                "type": "block_actions", "team": {"id": channel.team.id, "domain": "d"}, "user": {"id": user, "username": "ada", "team_id": channel.team.id},
                "api_app_id": "A1", "token": "x", "container": container, "trigger_id": f"{next(self._ids)}.2.x",
                "channel": {"id": channel.id, "name": "c"}, "message": message.json(), "response_url": self._new_response_url(channel, message.thread_ts),
                "actions": [pressed]})
        self.call(act)

    def violations(self):
        """Messages of ours that would wake somebody up."""
        return [re.sub(r"\s+", " ", m.shown)[:80] for t in self.teams.values() for c in t.channels.values() for m in c.messages.values()
                if m.user == t.bot_user and m.pings()]
