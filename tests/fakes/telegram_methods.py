"""The methods of the fake Bot API: each does what Telegram does with its parameters, or refuses as Telegram does."""
import asyncio
import dataclasses
import json
import re
import time
from typing import Optional

import aiohttp

from .telegram_text import BadText, message_text

ACTIONS = {"typing", "upload_photo", "record_video", "upload_video", "record_voice", "upload_voice", "upload_document",
           "choose_sticker", "find_location", "record_video_note", "upload_video_note"}


class ApiError(Exception):
    def __init__(self, code, description, **parameters):
        super().__init__(description)
        self.code, self.description, self.parameters = code, description, parameters


@dataclasses.dataclass
class Message:
    """A message that the bot has sent."""
    chat_id: int
    message_id: int
    text: str  # as people see it now
    entities: list
    reply_to: Optional[int] = None
    thread_id: Optional[int] = None
    at: float = 0
    edited_at: float = 0
    history: list = dataclasses.field(default_factory=list)  # every text it had
    deleted: bool = False
    buttons: list = dataclasses.field(default_factory=list)  # what each says when it is pressed


@dataclasses.dataclass
class Chat:
    chat: dict  # as Telegram shows it
    refusal: Optional[ApiError] = None  # every call to it is refused so
    messages: dict = dataclasses.field(default_factory=dict)  # id -> "user" or Message
    topics: set = dataclasses.field(default_factory=set)
    drafts: dict = dataclasses.field(default_factory=dict)
    next_id: int = 1

    @property
    def id(self):
        return self.chat["id"]


class Params(dict):
    """The parameters of a call: text from forms, any type from JSON."""

    def text(self, key, default=None):
        value = self.get(key, default)
        return value if value is None or isinstance(value, str) else json.dumps(value)

    def int(self, key, default=None):
        value = self.get(key)
        if value is None or value == "":
            return default
        try:
            return int(value)
        except (TypeError, ValueError):
            raise ApiError(400, f"Bad Request: {key} must be an integer") from None

    def obj(self, key, default=None):
        value = self.get(key, default)
        try:
            return json.loads(value) if isinstance(value, str) and value else value
        except ValueError:
            raise ApiError(400, f"Bad Request: can't parse {key} JSON object") from None

    def flag(self, key):
        return str(self.get(key, "")).lower() in ("true", "1", "yes", "y")


class Methods:
    """Mixed into Bot, whose attributes it uses."""

    def _chat(self, params):
        chat_id = params.int("chat_id")
        if chat_id is None:
            raise ApiError(400, "Bad Request: chat_id is empty")
        chat = self.chats.get(chat_id)
        if chat is None:
            raise ApiError(400, "Bad Request: chat not found")
        if chat.refusal:
            raise chat.refusal
        return chat

    def _m_getme(self, params):
        return dict(self.user, can_join_groups=True, can_read_all_group_messages=not self.privacy,
                    supports_inline_queries=False, has_main_web_app=False)

    def _m_setmycommands(self, params):
        commands = params.obj("commands", [])
        if not isinstance(commands, list) or len(commands) > 100:
            raise ApiError(400, "Bad Request: can't parse BotCommands JSON object")
        for c in commands:
            if not re.fullmatch(r"[a-z0-9_]{1,32}", c.get("command", "")):
                raise ApiError(400, "Bad Request: BOT_COMMAND_INVALID")
            if not 1 <= len(c.get("description", "")) <= 256:
                raise ApiError(400, "Bad Request: BOT_COMMAND_DESCRIPTION_INVALID")
        self.commands = commands
        return True

    def _m_deletemycommands(self, params):
        self.commands = []
        return True

    async def _m_getupdates(self, params):
        if self.webhook:
            await self._conflict("can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first")
        offset, limit = params.int("offset", 0), params.int("limit", 100)
        limit, timeout = limit if 1 <= limit <= 100 else 100, max(0, min(params.int("timeout", 0), 50))
        self._set_allowed(params)
        self._end_poll("terminated by other getUpdates request; make sure that only one bot instance is running")

        now = time.monotonic()
        last_offset, last_at = self._last_poll
        if offset == last_offset and timeout < 3 and now < last_at + 3:
            timeout = 3  # against busy polling
        if offset == last_offset and now < last_at + 0.5:
            limit = 1
        self._last_poll = (offset, now)

        self._confirm(offset)
        if not self.pending and timeout:
            await self._wait_for_updates(timeout)
        return list(self.pending.values())[:limit]

    def _confirm(self, offset):
        ids = list(self.pending)
        if offset < 0:
            for update_id in ids[:offset]:
                del self.pending[update_id]
        elif ids and offset > ids[-1] + 10:
            pass  # nonsense: from the head
        else:
            for update_id in ids:
                if update_id < offset:
                    del self.pending[update_id]

    async def _wait_for_updates(self, timeout):
        self._arrived, self._poll = asyncio.Event(), asyncio.get_running_loop().create_future()
        poll = self._poll
        arrived = asyncio.ensure_future(self._arrived.wait())
        try:
            await asyncio.wait({arrived, poll}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if poll.done():
                raise ApiError(409, "Conflict: " + poll.result())
            await asyncio.sleep(0)  # let those that come together come together
        finally:
            arrived.cancel()
            if self._poll is poll:
                self._arrived = self._poll = None

    def _end_poll(self, why):
        if self._poll and not self._poll.done():
            self._poll.set_result(why)
            self._poll = None

    async def _conflict(self, why):
        now = time.monotonic()
        if now < self._last_conflict + 3:
            await asyncio.sleep(3)
        self._last_conflict = now
        raise ApiError(409, "Conflict: " + why)

    def _set_allowed(self, params):
        if params.get("allowed_updates") is not None:
            self.allowed = set(params.obj("allowed_updates") or ())

    async def _m_setwebhook(self, params):
        url, secret = params.text("url", ""), params.text("secret_token")
        if not url:
            return await self._m_deletewebhook(params)
        if time.monotonic() < self._webhook_set_at + 1:
            raise ApiError(429, "Too Many Requests: retry after 1", retry_after=1)
        if not re.match(r"https?://", url):
            raise ApiError(400, "Bad Request: bad webhook: invalid webhook URL specified")
        if secret is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", secret):
            raise ApiError(400, "Bad Request: secret token contains unallowed characters")
        connections = params.int("max_connections", 40)
        self._set_allowed(params)
        if params.flag("drop_pending_updates"):
            self.pending.clear()
        self._webhook_set_at = time.monotonic()
        if self.webhook and (self.webhook["url"], self.webhook["secret_token"]) == (url, secret):
            return True
        self._end_poll("terminated by setWebhook request")
        await self.close()
        # The receiver has up to 60 s to answer.
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))
        self._slots = asyncio.Semaphore(max(1, min(connections, 100)))
        self.webhook = {"url": url, "secret_token": secret, "max_connections": connections}
        self._queues = {}
        for update in list(self.pending.values()):
            self._enqueue(update)
        return True

    async def _m_deletewebhook(self, params):
        if params.flag("drop_pending_updates"):
            self.pending.clear()
        self.webhook = None
        return True

    def _m_getwebhookinfo(self, params):
        hook = self.webhook or {}
        info = {"url": hook.get("url", ""), "has_custom_certificate": False, "pending_update_count": len(self.pending)}
        if hook.get("last_error"):
            info.update(last_error_date=int(time.time()), last_error_message=hook["last_error"])
        if hook:
            info.update(max_connections=hook["max_connections"])
        if self.allowed:
            info["allowed_updates"] = sorted(self.allowed)
        return info

    def _m_getfile(self, params):
        if params.text("file_id") not in self.files:
            raise ApiError(400, "Bad Request: wrong file_id or the file is temporarily unavailable")
        body, path = self.files[params.text("file_id")]
        if len(body) > 20 << 20:
            raise ApiError(400, "Bad Request: file is too big")
        return {"file_id": params.text("file_id"), "file_unique_id": "u1", "file_size": len(body), "file_path": path}

    def _m_getchat(self, params):
        return self._chat(params).chat

    def _text(self, params):
        try:
            return message_text(params.text("text", ""), params.text("parse_mode"), params.obj("entities"))
        except BadText as e:
            raise ApiError(400, f"Bad Request: {e}") from None

    @staticmethod
    def _buttons(params):
        rows = (params.obj("reply_markup") or {}).get("inline_keyboard", [])
        for button in [b for row in rows for b in row]:
            if not button.get("text") or not 1 <= len(button.get("callback_data", "").encode()) <= 64:
                raise ApiError(400, "Bad Request: BUTTON_DATA_INVALID")
        return [b["callback_data"] for row in rows for b in row]

    def _thread(self, chat, params):
        thread = params.int("message_thread_id")
        if thread is not None and thread not in chat.topics:
            raise ApiError(400, "Bad Request: message thread not found")
        return thread

    def _reply_to(self, chat, params):
        reply = params.obj("reply_parameters") or {}
        message_id = reply.get("message_id", params.int("reply_to_message_id"))
        if message_id is None or message_id in chat.messages:
            return message_id
        if reply.get("allow_sending_without_reply") or params.flag("allow_sending_without_reply"):
            return None
        raise ApiError(400, "Bad Request: message to be replied not found")

    def _m_sendmessage(self, params):
        chat = self._chat(params)
        text, entities = self._text(params)
        message = Message(chat.id, chat.next_id, text, entities, self._reply_to(chat, params), self._thread(chat, params),
                          time.time(), history=[text], buttons=self._buttons(params))
        chat.messages[chat.next_id] = message
        chat.next_id += 1
        chat.drafts.clear()
        return self._shown(chat, message)

    def _shown(self, chat, message):
        shown = {"message_id": message.message_id, "from": self.user, "chat": chat.chat, "date": int(message.at),
                 "text": message.text}
        if message.entities:
            shown["entities"] = message.entities
        if message.edited_at:
            shown["edit_date"] = int(message.edited_at)
        if message.thread_id is not None:
            shown.update(message_thread_id=message.thread_id, is_topic_message=True)
        return shown

    def _own(self, chat, params, verb):
        message = chat.messages.get(params.int("message_id"))
        if message is None or (isinstance(message, Message) and message.deleted):
            raise ApiError(400, f"Bad Request: message to {verb} not found")
        if not isinstance(message, Message):
            raise ApiError(400, f"Bad Request: message can't be {verb}ed")
        return message

    def _m_editmessagetext(self, params):
        chat = self._chat(params)
        message = self._own(chat, params, "edit")
        text, entities = self._text(params)
        buttons = self._buttons(params)
        if (text, entities, buttons) == (message.text, message.entities, message.buttons):
            raise ApiError(400, "Bad Request: message is not modified: specified new message content and reply markup are "
                                "exactly the same as a current content and reply markup of the message")
        message.text, message.entities, message.edited_at, message.buttons = text, entities, time.time(), buttons
        message.history.append(text)
        return self._shown(chat, message)

    def _m_deletemessage(self, params):
        chat = self._chat(params)
        if params.int("message_id") not in chat.messages:
            raise ApiError(400, "Bad Request: message to delete not found")
        message = self._own(chat, params, "delet")
        message.deleted = True
        return True

    def _m_sendchataction(self, params):
        chat = self._chat(params)
        self._thread(chat, params)
        if params.text("action") not in ACTIONS:
            raise ApiError(400, "Bad Request: wrong parameter action in request")
        return True

    def _m_sendmessagedraft(self, params):
        chat = self._chat(params)
        if chat.chat["type"] != "private":
            raise ApiError(400, "Bad Request: method is available only for private chats")
        if not params.int("draft_id"):
            raise ApiError(400, "Bad Request: RANDOM_ID_INVALID")
        chat.drafts[params.int("draft_id")] = self._text(params)[0] if params.text("text") else ""
        return True

    def _m_answercallbackquery(self, params):
        if not params.text("callback_query_id"):
            raise ApiError(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
        return True
