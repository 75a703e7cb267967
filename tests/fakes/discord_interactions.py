"""Interactions of the fake Discord: docs.discord.com/developers/interactions/receiving-and-responding"""
import asyncio
import json
import secrets
import time

import aiohttp

from .discord_check import EPHEMERAL, LOADING, SENDABLE_FLAGS, ApiError, check_message, is_empty, unknown
from .discord_faults import compact
from .discord_world import COMMAND_ANSWER, PERMISSIONS, REPLY, Message

PING, COMMAND, COMPONENT = 1, 2, 3
PONG, ANSWER, DEFER, DEFER_UPDATE, UPDATE = 1, 4, 5, 6, 7
OPTION_TYPES = {str: 3, int: 4, bool: 5, float: 10}


def empty():
    return ApiError(400, 50006, "Cannot send an empty message")


class Interaction:
    """Somebody has used a command or pressed a button. What tests look at:
    acks        the callbacks that were taken: (type, data, seconds after the interaction, "rest" or "http")
    followups   messages beyond the first answer
    delivery    (status, body) of an interaction by HTTP; None: no answer yet, or none came
    """

    def __init__(self, server, bot, user, channel, kind, data, message=None):
        self.server, self.bot, self.user, self.channel, self.kind = server, bot, user, channel, kind
        self.data, self.message, self.id = data, message, server.ids.new()
        self.token = "aW50ZXJhY3Rpb246" + secrets.token_urlsafe(150)
        self.acks, self.followups, self.delivery = [], [], None
        self.at = time.time()
        self._original, self._dead = None, False
        server.interactions[self.id] = self

    def original(self):
        """The first answer as it stands, a "thinking" placeholder included; with a button that changes nothing by
        itself, the message it belongs to. None: there is none, or it was deleted."""
        return None if not self._original or self._original.deleted else self._original

    @property
    def failed(self):
        """The user is told that the application did not respond."""
        return not self.acks and time.time() - self.at > self.server.interaction_seconds

    def expire(self):
        """The token is dead from now on, as after 15 minutes."""
        self._dead = True

    def shown(self):
        guild = self.channel.guild
        shown = {"version": 1, "type": self.kind, "token": self.token, "id": self.id, "locale": "en-US", "entitlements": [],
                 "application_id": self.bot.application_id, "app_permissions": PERMISSIONS,
                 "attachment_size_limit": 10485760, "channel_id": self.channel.id, "channel": self.channel.shown(),
                 "data": self.data, "entitlement_sku_ids": [], "context": 0 if guild else 1,
                 "authorizing_integration_owners": {"0": guild.id if guild else "0"}}
        if guild:
            member = dict(guild.member(self.user, user=True), permissions=PERMISSIONS)
            shown.update(guild_id=guild.id, guild_locale="en-US", member=member,
                         guild={"id": guild.id, "locale": "en-US", "features": []})
        else:
            shown["user"] = self.user.shown()
        if self.message:
            shown["message"] = self.message.shown(self.bot)
        return shown

    def metadata(self):
        """What a message has that answers it."""
        shown = {"id": self.id, "type": self.kind, "user": self.user.shown(), "authorizing_integration_owners": {"0": "0"}}
        if self.kind == COMMAND:
            shown.update(name=self.data["name"], command_type=1)
        return {"webhook_id": self.bot.application_id, "application_id": self.bot.application_id,
                "interaction_metadata": shown}

    # --- answers ---------------------------------------------------------------------------------------------

    def respond(self, body, way):
        """A callback, by REST or in the answer to an interaction by HTTP."""
        kind, data = body.get("type"), body.get("data") or {}
        if time.time() - self.at > self.server.interaction_seconds:
            raise unknown("interaction", 10062)
        if self.acks:
            raise ApiError(400, 40060, "Interaction has already been acknowledged.")
        allowed = {PING: (PONG,), COMMAND: (ANSWER, DEFER), COMPONENT: (ANSWER, DEFER, DEFER_UPDATE, UPDATE)}[self.kind]
        if kind not in allowed:
            raise ApiError(400, 50035, "Invalid Form Body", {"type": {"_errors": [
                {"code": "INTERACTION_TYPE_MISMATCH", "message": f"Callback type {kind} does not fit the interaction."}]}})
        if kind in (ANSWER, UPDATE):
            check_message(data)
        if kind == ANSWER and is_empty(data):
            raise empty()
        self.acks.append((kind, data, time.time() - self.at, way))
        if kind in (ANSWER, DEFER):
            self._original = self._new(data, loading=kind == DEFER)
            self._original.channel._add(self._original)
        elif kind in (DEFER_UPDATE, UPDATE):
            self._original = self.message
        if kind == UPDATE:
            self.server.change(self.message, data, webhook=True)
        return self._original

    def _new(self, data, loading=False):
        message = Message(self.channel, self.bot, "" if loading else (data.get("content") or "").strip())
        flags = data.get("flags") or 0
        message.flags = flags & (SENDABLE_FLAGS | EPHEMERAL) | (LOADING if loading else 0)
        message.interaction = self
        message.ephemeral_to = self.user if flags & EPHEMERAL else None
        message.type = COMMAND_ANSWER
        if self.kind == COMPONENT:
            message.type, message.reference = REPLY, self.message
        if not loading:
            message.components, message.embeds = data.get("components") or [], data.get("embeds") or []
            self.server.ping(message, data, webhook=True)
        return message

    def usable(self):
        """By its token, after the acknowledgement and for 15 minutes."""
        if self._dead or time.time() - self.at > self.server.token_seconds:
            raise ApiError(401, 50027, "Invalid Webhook Token")
        if not self.acks:
            raise unknown("Webhook", 10015)

    def follow_up(self, body):
        check_message(body)
        if is_empty(body):
            raise empty()
        first = self.original()
        if first and first.flags & LOADING:
            return self.change(first, body)
        message = self._new(body)
        message.type = REPLY
        message.reference = first or self.message
        self.followups.append(message)
        return self.channel._add(message)

    def change(self, message, body):
        check_message(body)
        if message.flags & LOADING and is_empty(body):
            raise empty()
        message.flags &= ~LOADING
        self.server.change(message, body, webhook=True)
        return message

    def find(self, message_id):
        for message in self.followups + [self._original]:
            if message and message.id == message_id and not message.deleted:
                return message
        raise unknown("Message", 10008)


class Interactions:
    """Mixed into FakeDiscord: how interactions begin, and the routes that answer them."""

    def slash(self, user, channel, bot, name, options):
        command = next((c for c in bot.commands if c["name"] == name and c["type"] == 1), None)
        assert command, f"/{name} is not registered: {[c['name'] for c in bot.commands]}"
        known = {o["name"]: o for o in command.get("options", [])}
        given = []
        for key, value in options.items():
            assert key in known, f"/{name} has no option {key}"
            option = known[key]
            assert option["type"] == OPTION_TYPES[type(value)], f"option {key} is of type {option['type']}"
            choices = [c["value"] for c in option.get("choices", [])]
            assert not choices or value in choices, f"{value!r} is none of the choices {choices}"
            given.append({"type": option["type"], "name": key, "value": value})
        missing = [k for k, o in known.items() if o.get("required") and k not in options]
        assert not missing, f"/{name} needs {missing}"
        data = {"type": 1, "name": name, "id": command["id"]}
        if given:
            data["options"] = given
        return self._interact(Interaction(self, bot, user, channel, COMMAND, data))

    def press(self, user, message, custom_id):
        assert not message.deleted and message.ephemeral_to in (None, user), "the message cannot be seen"
        buttons = [b for row in message.components for b in row["components"]]
        button = next((b for b in buttons if b.get("custom_id") == custom_id), None)
        assert button and not button.get("disabled"), f"no button {custom_id} to press among {buttons}"
        data = {"id": buttons.index(button) + 2, "custom_id": custom_id, "component_type": 2}
        return self._interact(Interaction(self, message.author, user, message.channel, COMPONENT, data, message))

    def _interact(self, interaction):
        bot = interaction.bot
        if bot.interactions_url:
            asyncio.get_running_loop().create_task(self._deliver(interaction))
        else:
            bot.dispatch("INTERACTION_CREATE", lambda s: interaction.shown(), interaction.channel.guild, 0)
        return interaction

    async def _deliver(self, interaction):
        status, body = await self.post_signed(interaction.bot, compact(interaction.shown()).encode())
        interaction.delivery = (status, body)
        if status != 200:
            return  # 202: the callback comes, or came, by REST
        try:
            interaction.respond(json.loads(body), "http")
        except (ApiError, ValueError, KeyError) as e:
            interaction.bot.violations.append(f"answer to an interaction: {e!r}")

    async def post_signed(self, bot, body, wrong=False):
        """The status and the body of the answer; status None: none came in time."""
        stamp = str(int(time.time()))
        signature = bot.sign(stamp.encode() + body)
        if wrong:
            signature = signature[:-2] + f"{int(signature[-2:], 16) ^ 1:02x}"
        headers = {"Content-Type": "application/json", "X-Signature-Ed25519": signature, "X-Signature-Timestamp": stamp,
                   "User-Agent": "Discord-Interactions/1.0 (+https://discord.com)"}
        timeout = aiohttp.ClientTimeout(total=self.interaction_seconds)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session:
                async with session.post(bot.interactions_url, data=body, headers=headers) as response:
                    return response.status, await response.read()
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError):
            return None, b""

    # --- routes ----------------------------------------------------------------------------------------------

    def r_callback(self, call, interaction, token):
        found = self.interactions.get(interaction)
        if not found or found.token != token or found._dead:
            raise unknown("interaction", 10062)
        call.bot = found.bot
        message = found.respond(call.body, "rest")
        if call.query.get("with_response", "").lower() not in ("true", "1"):
            return None
        shown = {"interaction": {"id": found.id, "type": found.kind}}
        if message:
            shown["interaction"]["response_message_id"] = message.id
            shown["resource"] = {"type": call.body["type"], "message": message.shown(found.bot)}
        return shown

    def _by_token(self, call, application, token):
        found = next((i for i in self.interactions.values() if i.token == token), None)
        if not found or found.bot.application_id != application:
            raise unknown("Webhook", 10015)
        call.bot = found.bot
        found.usable()
        return found

    def r_follow_up(self, call, application, token):
        found = self._by_token(call, application, token)
        return found.follow_up(call.body).shown(found.bot)

    def r_original(self, call, application, token):
        found = self._by_token(call, application, token)
        message = found.original()
        if not message:
            raise unknown("Message", 10008)
        return self._on_message(call, found, message)

    def r_answer(self, call, application, token, message):
        found = self._by_token(call, application, token)
        return self._on_message(call, found, found.find(message))

    @staticmethod
    def _on_message(call, interaction, message):
        if call.method == "PATCH":
            interaction.change(message, call.body)
        elif call.method == "DELETE":
            message._delete()
            return None
        return message.shown(interaction.bot)
