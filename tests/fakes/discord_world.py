"""What there is in the fake Discord: people, servers, channels, messages; and what people do there.

Everything is seen as it stands now. Only methods without a leading underscore are for tests: they run on the server's
loop, so that state is touched by one thread only.
"""
import datetime
import re
import time

from .discord_check import EPHEMERAL, LOADING

EPOCH_MS = 1420070400000
GUILDS, GUILD_MESSAGES, GUILD_REACTIONS, DIRECT_MESSAGES, DIRECT_REACTIONS = 1, 1 << 9, 1 << 10, 1 << 12, 1 << 13
MESSAGE_CONTENT = 1 << 15
TEXT, DM, PUBLIC_THREAD, FORUM = 0, 1, 11, 15
DEFAULT, REPLY, COMMAND_ANSWER = 0, 19, 20
PERMISSIONS = "2251799813685247"


class Snowflakes:
    """Ids as Discord makes them: they tell the time, and none is twice."""

    def __init__(self):
        self._last, self._old = 0, int((time.time() - 400 * 86400) * 1000)

    def new(self):
        now = int(time.time() * 1000) - EPOCH_MS << 22
        self._last = max(now, self._last + 1)
        return str(self._last)

    def old(self, shard=None):
        """Of something that has been there for long. shard: (number, count) it belongs to."""
        while True:
            self._old += 1
            snowflake = self._old - EPOCH_MS << 22
            if not shard or (snowflake >> 22) % shard[1] == shard[0]:
                return str(snowflake)


def iso(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).isoformat(timespec="microseconds")


def time_of(snowflake):
    return ((int(snowflake) >> 22) + EPOCH_MS) / 1000


class Person:
    """Somebody who is on every server."""
    is_bot = False

    def __init__(self, server, username, is_bot=False):
        self.server, self.username, self.is_bot = server, username, is_bot
        self.id = server.ids.old()
        self.takes_dms = True

    def __repr__(self):
        return f"@{self.username}"

    def shown(self):
        user = {"id": self.id, "username": self.username, "global_name": self.username.title(), "discriminator": "0",
                "avatar": None, "public_flags": 0, "flags": 0, "banner": None, "accent_color": None,
                "avatar_decoration_data": None, "clan": None, "primary_guild": None}
        return dict(user, bot=True) if self.is_bot else user

    # --- what people do --------------------------------------------------------------------------------------

    def say(self, channel, text, mention=None, reply_to=None, ping=True, attachments=(), **extra):
        """Write a message. mention: who is addressed in front of the text; ping: whether a reply mentions who wrote
        the other message; attachments: dicts with at least "filename"; extra: fields of the message as it is shown."""
        return self.server.call(self._say, channel, text, mention, reply_to, ping, attachments, extra)

    def _say(self, channel, text, mention, reply_to, ping, attachments, extra):
        everybody = self.server.everybody()
        message = Message(channel, self, f"<@{mention.id}> {text}" if mention else text)
        message.mentions = [u for u in everybody if re.search(f"<@!?{u.id}>", message.content)]
        message.attachments = [channel._attachment(message, a) for a in attachments]
        message.extra = extra
        message._reply(reply_to)
        if reply_to and ping and reply_to.author not in message.mentions:
            message.mentions.append(reply_to.author)
        return channel._add(message)

    def edit(self, message, text):
        def edited():
            message.mentions = [u for u in self.server.everybody() if re.search(f"<@!?{u.id}>", text)]
            message._edit(content=text)
        self.server.call(edited)

    def delete(self, message):
        self.server.call(message._delete)

    def react(self, message, emoji):
        self.server.call(message._react, self, emoji)

    def unreact(self, message, emoji):
        self.server.call(message._unreact, self, emoji)

    def slash(self, channel, bot, name, **options):
        """Use a command, which must be registered and take these options. Returns the interaction."""
        return self.server.call(self.server.slash, self, channel, bot, name, options)

    def press(self, message, custom_id):
        """Press a button of a bot's message, which must be there. Returns the interaction."""
        return self.server.call(self.server.press, self, message, custom_id)


class Guild:
    def __init__(self, server, name, bots, shard):
        self.server, self.name, self.bots, self.id = server, name, list(bots), server.ids.old(shard)
        self.channels = []

    def channel(self, name, **more):
        return self.server.call(self._channel, name, TEXT, None, more)

    def forum(self, name, **more):
        return self.server.call(self._channel, name, FORUM, None, more)

    def _channel(self, name, kind, parent, more):
        channel = Channel(self.server, kind, name, self, parent, **more)
        self.channels.append(channel)
        event, more = ("THREAD_CREATE", {"newly_created": True}) if channel.is_thread else ("CHANNEL_CREATE", {})
        self.server.publish(event, channel, lambda s: dict(channel.shown(), **more), GUILDS)
        return channel

    def leave(self, bot):
        """The bot is thrown out."""
        def left():
            self.bots.remove(bot)
            bot.dispatch("GUILD_DELETE", lambda s: {"id": self.id}, self, GUILDS)
        self.server.call(left)

    def outage(self, bot):
        """The server is out of reach for a while: GUILD_DELETE as Discord sends it then."""
        self.server.call(bot.dispatch, "GUILD_DELETE", lambda s: {"id": self.id, "unavailable": True}, self, GUILDS)

    def shown(self):
        return {"id": self.id, "name": self.name, "icon": None, "owner_id": "1", "permissions": PERMISSIONS, "features": []}

    def created(self, bot, padding=0):
        """GUILD_CREATE's data. padding: bytes of topic, to make it long."""
        channels = [c.shown() for c in self.channels if not c.is_thread]
        if padding and channels:
            channels[0]["topic"] = "x" * padding
        return dict(self.shown(), joined_at=iso(time_of(self.id)), large=False, unavailable=False, member_count=3,
                    members=[self.member(bot, user=True)], channels=channels, presences=[], voice_states=[], stickers=[],
                    threads=[c.shown() for c in self.channels if c.is_thread], emojis=[], stage_instances=[],
                    roles=[{"id": self.id, "name": "@everyone", "permissions": PERMISSIONS}],
                    guild_scheduled_events=[], soundboard_sounds=[])

    def member(self, who, user=False):
        member = {"roles": [], "joined_at": iso(time_of(self.id)), "nick": None, "avatar": None, "banner": None,
                  "premium_since": None, "pending": False, "mute": False, "deaf": False, "flags": 0,
                  "communication_disabled_until": None}
        return dict(member, user=who.shown()) if user else member


class Channel:
    """Of a server, a thread in one, or a direct message."""

    def __init__(self, server, kind, name=None, guild=None, parent=None, people=(), snowflake=None, **more):
        self.server, self.kind, self.name, self.guild, self.parent, self.people = server, kind, name, guild, parent, list(people)
        self.id = snowflake or (server.ids.new() if parent else server.ids.old())
        self.more = more
        self.all = {}  # id -> Message, in order, also the deleted ones
        self.typing = 0  # how often a bot was shown as typing
        self.refusal = None  # an ApiError: every call that writes is refused so
        self.hidden_from = []  # bots that lack VIEW_CHANNEL
        server.channels[self.id] = self

    @property
    def is_thread(self):
        return self.kind in (10, 11, 12)

    @property
    def members(self):
        bots = self.guild.bots if self.guild else [p for p in self.people if p.is_bot]
        return [b for b in bots if b not in self.hidden_from]

    def messages(self):
        """As people see them, oldest first; those that only one of them sees have .ephemeral_to."""
        return [m for m in list(self.all.values()) if not m.deleted]

    def texts(self, author):
        """What everybody sees of somebody's messages."""
        return [m.content for m in self.messages() if m.author is author and not m.ephemeral_to and not m.flags & LOADING]

    def thread(self, name, **more):
        return self.server.call(self.guild._channel, name, PUBLIC_THREAD, self, more)

    def post(self, title, author, text, **more):
        """A post in a forum: a thread whose first message has the thread's id. Returns the thread."""
        def posted():
            thread = self.guild._channel(title, PUBLIC_THREAD, self, more)
            message = Message(thread, author, text, snowflake=thread.id)
            message.mentions = [u for u in self.server.everybody() if re.search(f"<@!?{u.id}>", text)]
            thread._add(message)
            return thread
        return self.server.call(posted)

    def refuse(self, error):
        """Every call that writes here is refused: an ApiError, or None to take it back."""
        self.refusal = error

    def hide(self, bot):
        """The bot may not see the channel any more."""
        self.hidden_from.append(bot)

    def delete(self):
        def deleted():
            event = "THREAD_DELETE" if self.is_thread else "CHANNEL_DELETE"
            self.server.publish(event, self, lambda s: self.shown(), GUILDS)
            del self.server.channels[self.id]
            if self.guild:
                self.guild.channels.remove(self)
        self.server.call(deleted)

    def bulk_delete(self, messages):
        def deleted():
            for m in messages:
                m.deleted = True
            data = {"ids": [m.id for m in messages], "channel_id": self.id, **self._guild_id()}
            self.server.publish("MESSAGE_DELETE_BULK", self, lambda s: data, GUILD_MESSAGES)
        self.server.call(deleted)

    def _guild_id(self):
        return {"guild_id": self.guild.id} if self.guild else {}

    def _attachment(self, message, a):
        a = dict(a)
        body = a.pop("body", b"")
        a.setdefault("id", self.server.ids.new())
        path = f"/attachments/{self.id}/{a['id']}/{a['filename']}"
        url = f"{self.server.url}{path}?ex=6a000000&is=69000000&hm={'0' * 64}"
        self.server.files[path] = (body, a.get("content_type") or "application/octet-stream")
        return {"size": len(body), "url": url, "proxy_url": url, **a}

    def _add(self, message):
        self.all[message.id] = message
        message._announce("MESSAGE_CREATE")
        return message

    def _last(self):
        seen = [m.id for m in self.all.values() if not m.ephemeral_to]
        return seen[-1] if seen else None

    def shown(self):
        channel = {"id": self.id, "type": self.kind, "flags": 0, "last_message_id": self._last()}
        if self.kind == DM:
            channel["recipients"] = [p.shown() for p in self.people if not p.is_bot]
        else:
            channel.update(self._guild_id(), name=self.name, parent_id=self.parent.id if self.parent else None, nsfw=False,
                           rate_limit_per_user=0)
        if self.is_thread:
            channel.update(owner_id="1", message_count=len(self.all), member_count=1, thread_metadata={
                "archived": False, "auto_archive_duration": 4320, "archive_timestamp": iso(time_of(self.id)), "locked": False})
        elif self.guild:
            channel.update(position=0, permission_overwrites=[], topic=None)
        return dict(channel, **self.more)


class Message:
    def __init__(self, channel, author, content, snowflake=None):
        self.channel, self.author, self.content, self.server = channel, author, content, channel.server
        self.id = snowflake or self.server.ids.new()
        self.type, self.flags, self.nonce, self.reference = DEFAULT, 0, None, None
        self.components, self.embeds, self.attachments, self.mentions, self.roles = [], [], [], [], []
        self.pinged = []  # whom it notified, in any of its versions: "everyone", "here", "&ROLE", ids of users
        self.edits = [content]  # every content it had, the first included
        self.reactions = {}  # emoji -> users
        self.at, self.edited_at, self.deleted = time.time(), None, False
        self.ephemeral_to = self.interaction = None
        self.everyone = False
        self.extra = {}

    def __repr__(self):
        return f"<{self.author!r} {self.content[:40]!r}>"

    def _reply(self, other):
        if other:
            self.type, self.reference = REPLY, other

    def _announce(self, event):
        kind = DIRECT_MESSAGES if self.ephemeral_to or not self.channel.guild else GUILD_MESSAGES
        only = self.interaction.bot if self.ephemeral_to else None
        self.server.publish(event, self.channel, lambda s: self.dispatched(s, event), kind, only)

    def _edit(self, **changes):
        """Of content, components, embeds, attachments, flags; None: as it was."""
        changes = {k: v for k, v in changes.items() if v is not None}
        for key, value in changes.items():
            setattr(self, key, value)
        if "content" in changes:
            self.edits.append(self.content)
        self.edited_at = time.time()
        self._announce("MESSAGE_UPDATE")

    def _delete(self):
        self.deleted = True
        guild = {} if self.ephemeral_to else self.channel._guild_id()
        data = {"id": self.id, "channel_id": self.channel.id, **guild}
        only = self.interaction.bot if self.ephemeral_to else None
        self.server.publish("MESSAGE_DELETE", self.channel, lambda s: data, GUILD_MESSAGES if guild else DIRECT_MESSAGES, only)

    def _reaction(self, who, emoji):
        custom = re.fullmatch(r"(\w+):(\d+)", emoji)
        shown = {"id": custom.group(2), "name": custom.group(1)} if custom else {"id": None, "name": emoji}
        return {"user_id": who.id, "channel_id": self.channel.id, "message_id": self.id, "emoji": shown, "burst": False,
                "type": 0, **self.channel._guild_id()}

    def _react(self, who, emoji):
        if who in self.reactions.setdefault(emoji, []):
            return
        self.reactions[emoji].append(who)
        data = dict(self._reaction(who, emoji), message_author_id=self.author.id)
        if self.channel.guild:
            data["member"] = self.channel.guild.member(who, user=True)
        self._announce_reaction("MESSAGE_REACTION_ADD", data)

    def _unreact(self, who, emoji):
        if who in self.reactions.get(emoji, []):
            self.reactions[emoji].remove(who)
            self._announce_reaction("MESSAGE_REACTION_REMOVE", self._reaction(who, emoji))

    def _announce_reaction(self, event, data):
        kind = GUILD_REACTIONS if self.channel.guild else DIRECT_REACTIONS
        self.server.publish(event, self.channel, lambda s: data, kind)

    # --- as Discord shows it ---------------------------------------------------------------------------------

    def shown(self, viewer=None, may_read=True, nested=False):
        """viewer: a bot; may_read: whether it has the message content intent."""
        message = {
            "type": self.type, "content": self.content, "mentions": [u.shown() for u in self.mentions],
            "mention_roles": self.roles, "attachments": self.attachments, "embeds": self.embeds, "timestamp": iso(self.at),
            "edited_timestamp": iso(self.edited_at) if self.edited_at else None, "flags": self.flags,
            "components": self.components, "id": self.id, "channel_id": self.channel.id, "author": self.author.shown(),
            "pinned": False, "mention_everyone": self.everyone, "tts": False,
        }
        if not (may_read or not self.channel.guild or viewer is self.author or viewer in self.mentions):
            message.update(content="", attachments=[], embeds=[], components=[])
        if self.reactions:
            message["reactions"] = [{"emoji": self._reaction(self.author, e)["emoji"], "count": len(who), "me": viewer in who}
                                    for e, who in self.reactions.items() if who]
        if self.reference:
            other = self.reference
            message["message_reference"] = {"type": 0, "channel_id": other.channel.id, "message_id": other.id,
                                            **other.channel._guild_id()}
            if not nested:
                message["referenced_message"] = None if other.deleted else other.shown(viewer, may_read, nested=True)
        if self.interaction:
            message.update(self.interaction.metadata())
        return dict(message, **self.extra)

    def dispatched(self, session, event="MESSAGE_CREATE"):
        """As an event has it."""
        message = self.shown(session.bot, bool(session.intents & MESSAGE_CONTENT))
        message["channel_type"] = self.channel.kind
        if event == "MESSAGE_CREATE" and self.nonce is not None:
            message["nonce"] = self.nonce
        guild = self.channel.guild
        if guild and not self.flags & EPHEMERAL:
            message["guild_id"] = guild.id
            message["mentions"] = [dict(u.shown(), member=guild.member(u)) for u in self.mentions]
            if "webhook_id" not in message:
                message["member"] = guild.member(self.author)
        return message
