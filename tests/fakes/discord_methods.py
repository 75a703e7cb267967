"""The routes of the fake HTTP API: each does what Discord does, or refuses as Discord does."""
import time

from .discord_check import EPHEMERAL, SENDABLE_FLAGS, ApiError, Form, check_commands, check_message, is_empty, unknown
from .discord_world import DM, FORUM, Channel, Message
from .discord_interactions import empty

MISSING_ACCESS = (403, 50001, "Missing Access")


def _number(call, key, default, low, high):
    form, value = Form(), call.query.get(key, str(default))
    if not value.isdigit() or not low <= int(value) <= high:
        form.wrong([key], "NUMBER_TYPE_MAX", f"int value should be between {low} and {high}.")
    form.done()
    return int(value)


class Methods:
    """Mixed into FakeDiscord, whose attributes it uses. A route gets the call and the ids of its path."""

    # --- the bot itself --------------------------------------------------------------------------------------

    def r_gateway(self, call):
        return {"url": self.gateway_url}

    def r_gateway_bot(self, call):
        limit = dict(call.bot.session_limit, max_concurrency=call.bot.max_concurrency)
        return {"url": self.gateway_url, "session_start_limit": limit, "shards": call.bot.shards}

    def r_me(self, call):
        return dict(call.bot.shown(), verified=True, mfa_enabled=True, locale="en-US", email=None)

    def r_application(self, call):
        bot = call.bot
        return {"id": bot.application_id, "name": bot.username, "description": "", "summary": "", "type": None, "icon": None,
                "bot": bot.shown(), "verify_key": bot.public_key, "flags": bot.flags, "hook": True, "bot_public": True,
                "bot_require_code_grant": False, "interactions_endpoint_url": bot.interactions_url, "redirect_uris": [],
                "integration_types_config": {"0": {}}, "approximate_guild_count": len(self._guilds(bot))}

    def _guilds(self, bot):
        return sorted((g for g in self.guilds if bot in g.bots), key=lambda g: int(g.id))

    def r_guilds(self, call):
        limit = _number(call, "limit", 200, 1, 200)
        after = int(call.query.get("after", 0))
        return [g.shown() for g in self._guilds(call.bot) if int(g.id) > after][:limit]

    def r_open_dm(self, call):
        person = next((p for p in self.people if p.id == str(call.body.get("recipient_id"))), None)
        if not person:
            raise ApiError(400, 50033, "Invalid Recipient(s)")
        return self.dm(call.bot, person).shown()

    # --- commands --------------------------------------------------------------------------------------------

    def _own_application(self, call, application):
        if application != call.bot.application_id:
            raise ApiError(403, 20012, "You are not authorized to perform this action on this application")
        return call.bot

    def r_commands(self, call, application):
        return self._own_application(call, application).commands

    def r_set_commands(self, call, application):
        bot = self._own_application(call, application)
        check_commands(call.body)
        before = {(c["type"], c["name"]): c for c in bot.commands}
        bot.commands = [self._command(bot, c, before.get((c.get("type", 1), c["name"]))) for c in call.body]
        return bot.commands

    def _command(self, bot, wanted, before):
        """As Discord lists it: with what it adds, and without what is as by default."""
        command = {"application_id": bot.application_id, "default_member_permissions": None, "type": 1, "dm_permission": True,
                   "nsfw": False, "contexts": None, "integration_types": [0], "name_localizations": None,
                   "description_localizations": None, "description": ""}
        command.update({k: wanted[k] for k in ("name", "description", "type", "nsfw", "contexts", "integration_types",
                                               "default_member_permissions") if k in wanted})
        if wanted.get("options"):
            command["options"] = [self._option(o) for o in wanted["options"]]
        same = before and {k: v for k, v in before.items() if k not in ("id", "version")} == command
        return {"id": before["id"] if before else self.ids.new(), **command,
                "version": before["version"] if same else self.ids.new()}

    def _option(self, option):
        kept = {"type": option["type"], "name": option["name"], "name_localizations": None,
                "description": option["description"], "description_localizations": None}
        as_given = ("min_length", "max_length", "min_value", "max_value", "channel_types")
        kept.update({k: option[k] for k in as_given if k in option})
        for key in ("required", "autocomplete"):
            if option.get(key):
                kept[key] = True
        if option.get("choices"):
            kept["choices"] = [dict(c, name_localizations=None) for c in option["choices"]]
        if option.get("options"):
            kept["options"] = [self._option(o) for o in option["options"]]
        return kept

    # --- servers and channels --------------------------------------------------------------------------------

    def _guild(self, call, guild):
        found = next((g for g in self.guilds if g.id == guild), None)
        if not found:
            raise unknown("Guild", 10004)
        if call.bot not in found.bots:
            raise ApiError(*MISSING_ACCESS)
        return [c for c in found.channels if call.bot in c.members]

    def r_channels(self, call, guild):
        return [c.shown() for c in self._guild(call, guild) if not c.is_thread]

    def r_threads(self, call, guild):
        threads = [c.shown() for c in self._guild(call, guild) if c.is_thread]
        return {"threads": [t for t in threads if not t["thread_metadata"]["archived"]], "members": []}

    def _channel(self, call, channel, write=False):
        found = self.channels.get(channel)
        if not found or (not found.guild and call.bot not in found.members):
            raise unknown("Channel", 10003)
        if call.bot not in found.members:
            raise ApiError(*MISSING_ACCESS)
        if write and found.refusal:
            raise found.refusal
        if write and found.kind == DM and not all(p.takes_dms for p in found.people):
            raise ApiError(403, 50007, "Cannot send messages to this user")
        return found

    def r_channel(self, call, channel):
        return self._channel(call, channel).shown()

    def r_typing(self, call, channel):
        self._channel(call, channel, write=True).typing += 1

    # --- messages --------------------------------------------------------------------------------------------

    def r_messages(self, call, channel):
        found = self._channel(call, channel)
        limit = _number(call, "limit", 50, 1, 100)
        listed = [m for m in found.messages() if not m.ephemeral_to]
        if "after" in call.query:
            listed = [m for m in listed if int(m.id) > int(call.query["after"])][:limit]
        elif "before" in call.query:
            listed = [m for m in listed if int(m.id) < int(call.query["before"])]
        elif "around" in call.query:
            middle = int(call.query["around"])
            before = [m for m in listed if int(m.id) < middle]
            after = [m for m in listed if int(m.id) >= middle][:(limit + 1) // 2]
            listed = before[len(before) - min(len(before), limit - len(after)):] + after
        return [m.shown(call.bot, call.bot.message_content) for m in listed[::-1][:limit]]

    def _message(self, call, channel, message, write=False):
        found = self._channel(call, channel, write).all.get(message)
        if not found or found.deleted or found.ephemeral_to:
            raise unknown("Message", 10008)
        return found

    def r_message(self, call, channel, message):
        return self._message(call, channel, message).shown(call.bot, call.bot.message_content)

    def r_send(self, call, channel):
        found, body = self._channel(call, channel, write=True), call.body
        if found.kind == FORUM:
            raise ApiError(400, 50008, "Cannot send messages in a non-text channel")
        check_message(body)
        if is_empty(body):
            raise empty()
        earlier = self._earlier(call, found)
        if earlier:
            return dict(earlier.shown(call.bot), nonce=earlier.nonce)
        message = Message(found, call.bot, (body.get("content") or "").strip())
        message._reply(self._reference(found, body.get("message_reference")))
        message.flags = (body.get("flags") or 0) & SENDABLE_FLAGS
        message.components, message.embeds = body.get("components") or [], body.get("embeds") or []
        message.attachments = [found._attachment(message, f) for f in call.files]
        message.nonce = body.get("nonce")
        self.ping(message, body)
        if body.get("enforce_nonce") and message.nonce is not None:
            call.bot.nonces[found.id, str(message.nonce)] = message
        found._add(message)
        shown = message.shown(call.bot)
        return dict(shown, nonce=message.nonce) if message.nonce is not None else shown

    def _earlier(self, call, channel):
        """The message of the same nonce in the last minutes."""
        if not call.body.get("enforce_nonce") or call.body.get("nonce") is None:
            return None
        earlier = call.bot.nonces.get((channel.id, str(call.body["nonce"])))
        if not earlier or time.time() - earlier.at > self.nonce_seconds:
            return None
        if earlier.deleted:
            raise unknown("Message", 10008)
        if earlier.edits[0] != (call.body.get("content") or "").strip():
            call.bot.violations.append(f"nonce {earlier.nonce} of another text")
        return earlier

    @staticmethod
    def _reference(channel, reference):
        if not reference or reference.get("type", 0) != 0:
            return None
        form = Form()
        found = channel.all.get(str(reference.get("message_id")))
        if reference.get("channel_id") not in (None, channel.id):
            form.wrong(["message_reference"], "MESSAGE_REFERENCE_CHANNEL_MISMATCH", "The channel is another one")
        elif found and found.type not in (0, 19, 20, 23):
            form.wrong(["message_reference"], "REPLIES_CANNOT_REPLY_TO_SYSTEM_MESSAGE", "Cannot reply to a system message")
        elif (not found or found.deleted or found.ephemeral_to) and reference.get("fail_if_not_exists", True):
            form.wrong(["message_reference"], "REPLIES_UNKNOWN_MESSAGE", "Unknown message")
        form.done()
        return found if found and not found.deleted and not found.ephemeral_to else None

    def r_edit(self, call, channel, message):
        found = self._message(call, channel, message, write=True)
        if found.author is not call.bot:
            raise ApiError(403, 50005, "Cannot edit a message authored by another user")
        check_message(call.body)
        self.change(found, call.body)
        return found.shown(call.bot)

    def change(self, message, body, webhook=False):
        """An edit: absent keys stay as they are."""
        after = {"content": message.content, "embeds": message.embeds, "components": message.components,
                 "attachments": message.attachments}
        after.update({k: v for k, v in body.items() if k in after})
        if is_empty(after):
            raise empty()
        flags = None
        if body.get("flags") is not None:
            flags = message.flags & (EPHEMERAL | 1 << 15) | body["flags"] & (1 << 2 | 1 << 15)
        changed = {k: v or ([] if k != "content" else "") for k, v in after.items() if k in body}
        if "content" in changed:
            changed["content"] = changed["content"].strip()
            self.ping(message, dict(body, content=changed["content"]), webhook)
        message._edit(flags=flags, **changed)

    def r_delete(self, call, channel, message):
        found = self._message(call, channel, message, write=True)
        if found.author is not call.bot and not found.channel.guild:
            raise ApiError(403, 50003, "Cannot execute action on a DM channel")
        if found.author is not call.bot:
            raise ApiError(403, 50013, "Missing Permissions")
        found._delete()

    def r_react(self, call, channel, message, emoji):
        found = self._message(call, channel, message, write=True)
        if call.method == "DELETE":
            found._unreact(call.bot, emoji)
            return
        if not emoji or emoji.isascii() and ":" not in emoji:
            raise ApiError(400, 10014, "Unknown Emoji")
        if len(found.reactions) >= 20 and emoji not in found.reactions:
            raise ApiError(400, 30010, "Maximum number of reactions reached (20)")
        found._react(call.bot, emoji)

    # --- whom it pings ---------------------------------------------------------------------------------------

    def ping(self, message, body, webhook=False):
        """Fills in whom a message mentions. docs: resources/message#allowed-mentions-object"""
        text, allowed = body.get("content") or message.content, body.get("allowed_mentions")
        if allowed is None:
            allowed = {"parse": ["users"] if webhook else ["users", "roles", "everyone"], "replied_user": True}
        parse = allowed.get("parse") or []
        listed = {str(i) for i in allowed.get("users") or []}
        users = [u for u in self.everybody() if f"<@{u.id}>" in text or f"<@!{u.id}>" in text]
        message.mentions = [u for u in users if "users" in parse or u.id in listed]
        if message.reference and allowed.get("replied_user") and message.reference.author not in message.mentions:
            message.mentions.append(message.reference.author)
        message.roles = [r for r in self.roles_in(text) if "roles" in parse or r in (allowed.get("roles") or [])]
        loud = [word for word in ("everyone", "here") if f"@{word}" in text and "everyone" in parse]
        message.everyone = bool(loud)
        message.pinged += loud + [f"&{r}" for r in message.roles] + [u.id for u in message.mentions]

    def dm(self, bot, person):
        for channel in self.channels.values():
            if channel.kind == DM and channel.people == [bot, person]:
                return channel
        return Channel(self, DM, people=[bot, person])
