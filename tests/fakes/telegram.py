"""A fake of api.telegram.org, as strict as the real one: it refuses what Telegram refuses and keeps its queues.

    telegram = FakeTelegram().start()
    bot = telegram.add_bot("123456:secret", "parley_bot")
    alice = bot.person(7, "Alice")              # a private chat
    update = bot.say(alice, "hello")            # queued for getUpdates, or delivered to the webhook
    bot.messages(alice)                         # what the bot has sent there, in order, as it stands now
    bot.inject("sendMessage", Fault.too_many(retry_after=1))

Times of webhook retries are multiplied by `telegram.retry_scale`. Otherwise it behaves like a local Bot API server,
which also takes webhooks on plain http and any port.
"""
import asyncio
import dataclasses
import itertools
import json
import random
import re
import time
from typing import Callable, Optional

import aiohttp
from aiohttp import web

from .server import FakeServer, cut
from .telegram_methods import ApiError, Chat, Message, Methods, Params
from .telegram_text import recognised

QUEUE_MAX = 100_000
NOT_BY_DEFAULT = {"chat_member", "message_reaction", "message_reaction_count"}
NOT_IN_REPLIES = ("get", "setwebhook", "deletewebhook", "close", "logout")


@dataclasses.dataclass
class Fault:
    """What happens to the next `times` calls of a method, of those for which `when(params)` is true."""
    kind: str  # "error", "html", "lost_before", "lost_after", "delay", "hang"
    error: Optional[ApiError] = None
    seconds: float = 0
    times: int = 1
    when: Callable = lambda params: True

    @classmethod
    def error_of(cls, code, description, times=1, when=lambda params: True, **parameters):
        return cls("error", ApiError(code, description, **parameters), times=times, when=when)

    @classmethod
    def too_many(cls, retry_after, times=1, when=lambda params: True):
        return cls.error_of(429, f"Too Many Requests: retry after {retry_after}", times, when, retry_after=retry_after)


@dataclasses.dataclass
class Call:
    method: str
    params: dict
    at: float
    code: int = 0  # 0: no answer was given
    description: str = ""


@dataclasses.dataclass
class Delivery:
    """One attempt to hand an update to the webhook."""
    update_id: int
    status: Optional[int]  # None: no answer
    at: float
    body: bytes = b""


class FakeTelegram(FakeServer):
    def __init__(self, retry_scale=0.05):
        super().__init__()
        self.retry_scale = retry_scale
        self.bots = {}
        self.app.router.add_route("*", "/{tail:.*}", self._handle)

    def add_bot(self, token="123456:TEST-secret_token-0123456789abcdef", username="parley_test_bot"):
        self.bots[token] = Bot(self, token, username)
        return self.bots[token]

    async def finish(self):
        for bot in self.bots.values():
            await bot.close()

    async def _handle(self, request):
        file = re.fullmatch(r"/file/bot([^/]+)/(.+)", request.path)
        if file:
            return self._file(*file.groups())
        m = re.fullmatch(r"/bot([^/]+)(/test)?/([A-Za-z]+)", request.path)
        if not m:
            return _answer(404, {"ok": False, "error_code": 404, "description": "Not Found"})
        if len(m.group(1)) > 80 or not re.fullmatch(r"\d+:[\w-]+", m.group(1)):
            return _error(ApiError(401, "Unauthorized: invalid token specified"))
        bot = self.bots.get(m.group(1))
        if not bot:
            return _error(ApiError(401, "Unauthorized"))
        return await bot.handle(request, m.group(3).lower())

    def _file(self, token, path):
        bot = self.bots.get(token)
        found = [body for body, at in bot.files.values() if at == path] if bot else []
        if not found:
            return _answer(404, {"ok": False, "error_code": 404, "description": "Not Found"})
        return web.Response(body=found[0], content_type="application/octet-stream")


def _answer(status, body):
    return web.Response(status=status, body=json.dumps(body).encode(), content_type="application/json")


def _error(e):
    body = {"ok": False, "error_code": e.code, "description": e.description}
    if e.parameters:
        body["parameters"] = e.parameters
    response = _answer(e.code, body)
    if "retry_after" in e.parameters:
        response.headers["Retry-After"] = str(e.parameters["retry_after"])
    return response


async def _params(request):
    params = Params(request.query)
    if request.method == "POST" and request.can_read_body:
        if request.content_type == "application/json":
            try:
                body = json.loads(await request.text())
            except ValueError:
                raise ApiError(400, "Bad Request: can't parse JSON object") from None
            if not isinstance(body, dict):
                raise ApiError(400, "Bad Request: object expected")
            params.update(body)
        else:
            params.update(await request.post())
    return params


class Bot(Methods):
    def __init__(self, server, token, username):
        self.server, self.token = server, token
        self.user = {"id": int(token.split(":")[0]), "is_bot": True, "first_name": "Parley", "username": username}
        self.calls, self.deliveries, self.faults = [], [], []
        self.files = {}  # file_id -> (content, path)
        self.chats, self.pending, self.commands = {}, {}, []  # pending: update_id -> update, in order
        self.webhook, self.allowed, self.privacy = None, None, True
        self._update_ids = itertools.count(random.randint(100_000_000, 900_000_000))
        self._arrived, self._poll, self._last_poll = None, None, (None, 0.0)
        self._last_conflict, self._webhook_set_at = 0.0, 0.0
        self._queues, self._session, self._slots = {}, None, None

    async def close(self):
        if self._session:
            await self._session.close()

    # --- what tests do ---------------------------------------------------------------------------------------

    def person(self, user_id, first_name="Alice", username=None):
        """A private chat with somebody who has pressed Start."""
        chat = {"id": user_id, "type": "private", "first_name": first_name}
        if username:
            chat["username"] = username
        self.chats[user_id] = Chat(chat)
        return self.chats[user_id]

    def group(self, chat_id, title="A group", kind="supergroup", topics=()):
        chat = {"id": chat_id, "type": kind, "title": title}
        if topics:
            chat["is_forum"] = True
        self.chats[chat_id] = Chat(chat, topics=set(topics))
        return self.chats[chat_id]

    def say(self, chat, text, sender=None, **extra):
        """Somebody writes: queues the update and returns it. sender: a user, by default the private chat's."""
        return self.server.call(self._say, chat, text, sender, extra, "message")

    def edit(self, chat, message_id, text, sender=None, **extra):
        """Somebody changes what they wrote."""
        extra = dict(extra, message_id=message_id, edit_date=int(time.time()))
        return self.server.call(self._say, chat, text, sender, extra, "edited_message")

    def press(self, chat, message, data, sender=None):
        assert data in message.buttons, message.buttons
        user = sender or {"id": chat.id, "is_bot": False, "first_name": chat.chat.get("first_name", "Somebody")}
        return self.push({"callback_query": {"id": str(next(self._update_ids)), "from": user, "chat_instance": "1", "data": data,
                                             "message": self._shown(chat, message)}})

    def react(self, chat, message, new=(), old=(), sender=None):
        user = sender or {"id": chat.id, "is_bot": False, "first_name": chat.chat.get("first_name", "Somebody")}
        as_list = lambda emoji: [{"type": "emoji", "emoji": e} for e in emoji]
        return self.push({"message_reaction": {"chat": chat.chat, "message_id": message.message_id, "user": user, "date": int(time.time()),
                                               "old_reaction": as_list(old), "new_reaction": as_list(new)}})

    async def point_webhook(self, url, secret):
        """As the operator would: setWebhook, over when the server says too many."""
        self._webhook_set_at = 0.0
        allowed = ["message", "edited_message", "callback_query", "message_reaction"]
        await self._run("setwebhook", Params(url=url, secret_token=secret, allowed_updates=allowed))

    def push(self, update):
        """Queue an update as it is; its update_id is added when it has none."""
        return self.server.call(self._push, dict(update))

    def inject(self, method, fault):
        self.faults.append((method.lower(), fault))
        return fault

    def heal(self):
        self.faults.clear()

    def block(self, chat, why="bot was blocked by the user"):
        chat.refusal = ApiError(403, f"Forbidden: {why}")

    def unblock(self, chat):
        chat.refusal = None

    def migrate(self, chat, new_id):
        """The group becomes a supergroup: the old id is refused from now on. Message ids start anew."""
        new = self.group(new_id, chat.chat.get("title", ""))
        chat.refusal = ApiError(400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=new_id)
        return new

    def messages(self, chat):
        """The bot's messages in a chat as people see them, oldest first."""
        return [m for m in list(chat.messages.values()) if isinstance(m, Message) and not m.deleted]

    def texts(self, chat):
        return [m.text for m in self.messages(chat)]

    def calls_of(self, method):
        return [c for c in list(self.calls) if c.method == method.lower()]

    def pending_count(self):
        return len(self.pending)

    # --- updates ---------------------------------------------------------------------------------------------

    def _say(self, chat, text, sender, extra, kind):
        if sender is None:
            sender = {"id": chat.id, "is_bot": False, "first_name": chat.chat.get("first_name", "Somebody"),
                      "language_code": "en"}
            if "username" in chat.chat:
                sender["username"] = chat.chat["username"]
        message = {"message_id": chat.next_id, "from": sender, "chat": chat.chat, "date": int(time.time())}
        if text is not None:
            message["text"] = text
            entities = recognised(text)
            if entities:
                message["entities"] = entities
        message.update(extra)
        if kind == "message":
            chat.messages[chat.next_id] = "user"
            chat.next_id += 1
        return self._push({kind: message})

    def _push(self, update):
        update.setdefault("update_id", next(self._update_ids))
        kind = next((k for k in update if k != "update_id"), None)
        allowed = self.allowed
        if (kind not in allowed) if allowed else (kind in NOT_BY_DEFAULT):
            return update
        if len(self.pending) < QUEUE_MAX:
            self.pending[update["update_id"]] = update
        if self._arrived:
            self._arrived.set()
        if self.webhook:
            self._enqueue(update)
        return update

    def _enqueue(self, update):
        """One update in flight a chat, in order."""
        body = next((v for k, v in update.items() if k != "update_id" and isinstance(v, dict)), {})
        key = (body.get("chat") or body.get("from") or {}).get("id")
        queue = self._queues.setdefault(key, [])
        queue.append(update)
        if len(queue) == 1:
            asyncio.get_running_loop().create_task(self._drain(self.webhook, queue))

    async def _drain(self, hook, queue):
        while queue and self.webhook is hook:
            update, attempt = queue[0], 0
            while update["update_id"] in self.pending and self.webhook is hook:
                async with self._slots:
                    wait = await self._deliver(hook, update)
                if wait is None:
                    self.pending.pop(update["update_id"], None)
                    break
                # The first retry comes at once, then 2, 4, 8 ... s, up to a random 60 to 120.
                pause = 0 if attempt == 0 else min(2 ** attempt, random.uniform(60, 120))
                await asyncio.sleep(max(pause, wait) * self.server.retry_scale)
                attempt += 1
            queue.pop(0)

    async def _deliver(self, hook, update):
        """None: taken. Else the seconds of its Retry-After, 0 without one."""
        headers = {"Content-Type": "application/json"}
        if hook.get("secret_token"):
            headers["X-Telegram-Bot-Api-Secret-Token"] = hook["secret_token"]
        record = Delivery(update["update_id"], None, time.time())
        try:
            async with self._session.post(hook["url"], data=json.dumps(update).encode(), headers=headers) as response:
                record.body = await response.read()
                record.status = response.status
                retry_after = response.headers.get("Retry-After", "0")
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as e:
            hook["last_error"] = str(e) or type(e).__name__
            retry_after = "0"
        self.deliveries.append(record)
        if record.status and 200 <= record.status < 300:
            await self._reply_with_method(record.body)
            return None
        hook["last_error"] = hook.get("last_error") if record.status is None else f"Wrong response from the webhook: {record.status}"
        return min(int(retry_after) if retry_after.isdigit() else 0, 3600)

    async def _reply_with_method(self, body):
        try:
            params = Params(json.loads(body))
            method = params.pop("method").lower()
        except (ValueError, KeyError, TypeError, AttributeError):
            return
        if not method.startswith(NOT_IN_REPLIES):
            try:
                await self._run(method, params)
            except ApiError:
                pass  # nobody sees the result

    # --- calls -----------------------------------------------------------------------------------------------

    async def handle(self, request, method):
        call = Call(method, {}, time.time())
        self.calls.append(call)
        try:
            call.params = params = await _params(request)
            fault = self._fault(method, params)
            if fault:
                answer = await self._misbehave(fault, request, method, params)
                if answer is not None:
                    call.code = answer.status
                    return answer
            result = await self._run(method, params)
        except ApiError as e:
            call.code, call.description = e.code, e.description
            return _error(e)
        call.code = 200
        return _answer(200, {"ok": True, "result": result})

    def _fault(self, method, params):
        for name, fault in self.faults:
            if name in (method, "*") and fault.times > 0 and fault.when(params):
                fault.times -= 1
                return fault
        return None

    async def _misbehave(self, fault, request, method, params):
        if fault.kind == "error":
            raise fault.error
        if fault.kind == "html":
            return web.Response(status=502, text="<html><body><h1>502 Bad Gateway</h1></body></html>",
                                content_type="text/html")
        if fault.kind == "lost_before":
            cut(request)
        if fault.kind == "lost_after":
            await self._run(method, params)
            cut(request)
        if fault.kind == "hang":
            await asyncio.sleep(3600)
        await asyncio.sleep(fault.seconds)  # "delay"
        return None

    async def _run(self, method, params):
        implementation = getattr(self, "_m_" + method, None)
        if implementation is None:
            raise ApiError(404, "Not Found: method not found")
        result = implementation(params)
        return await result if asyncio.iscoroutine(result) else result
