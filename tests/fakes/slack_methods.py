"""Slack's Web API, as strict as Slack: unknown arguments, wrong places and over-long texts are errors."""
import json

from aiohttp import web

READS = {"conversations.replies", "conversations.history", "auth.test", "users.info"}
ARGUMENTS = {  # method -> (required, optional)
    "auth.test": ((), ()),
    "apps.connections.open": ((), ()),
    "chat.postMessage": (("channel",), ("text", "blocks", "thread_ts", "metadata", "unfurl_links", "unfurl_media", "markdown_text", "mrkdwn")),
    "chat.update": (("channel", "ts"), ("text", "blocks", "metadata", "markdown_text")),
    "chat.delete": (("channel", "ts"), ()),
    "chat.postEphemeral": (("channel", "user"), ("text", "blocks", "thread_ts", "markdown_text")),
    "chat.startStream": (("channel", "thread_ts"), ("markdown_text", "recipient_user_id", "recipient_team_id")),
    "chat.appendStream": (("channel", "ts"), ("markdown_text",)),
    "chat.stopStream": (("channel", "ts"), ("markdown_text", "blocks", "metadata")),
    "assistant.threads.setStatus": (("channel_id", "thread_ts", "status"), ("loading_messages",)),
    "reactions.add": (("channel", "name", "timestamp"), ()),
    "reactions.remove": (("channel", "name", "timestamp"), ()),
    "conversations.replies": (("channel", "ts"), ("cursor", "limit", "oldest", "latest", "inclusive", "include_all_metadata")),
    "conversations.history": (("channel",), ("cursor", "limit", "oldest", "latest", "inclusive", "include_all_metadata")),
    "oauth.v2.access": (("code",), ("client_id", "client_secret", "redirect_uri")),
}
CONFLICT = "markdown_text_conflict"


class Refusal(Exception):
    def __init__(self, error, **more):
        super().__init__(error)
        self.body = {"ok": False, "error": error, **more}


def need(condition, error, **more):
    if not condition:
        raise Refusal(error, **more)


class Methods:
    """Mixed into FakeSlack. Each method gets the team and its checked arguments."""

    def dispatch(self, method, team, a):
        required, optional = ARGUMENTS[method]
        for key in required:
            need(a.get(key) not in (None, ""), "invalid_arguments", response_metadata={"messages": [f"[ERROR] missing required field: {key}"]})
        unknown = set(a) - set(required) - set(optional)
        need(not unknown, "invalid_arguments", response_metadata={"messages": [f"[ERROR] unknown field: {sorted(unknown)}"]})
        return getattr(self, "do_" + method.replace(".", "_"))(team, a)

    # --- who and where ---------------------------------------------------------------------------------------

    def do_auth_test(self, team, a):
        return {"url": "https://x.slack.com/", "team": "Team", "user": "parley", "team_id": team.id, "user_id": team.bot_user,
                "bot_id": team.bot_id, "is_enterprise_install": False}

    def do_apps_connections_open(self, team, a):
        return {"url": self.new_ticket()}

    def do_oauth_v2_access(self, team, a):
        need(a.get("client_id") == self.client_id and a.get("client_secret") == self.client_secret, "bad_client_secret")
        team = self.codes.pop(a["code"], None)
        need(team, "invalid_code")
        return {"access_token": team.token, "token_type": "bot", "scope": "chat:write", "bot_user_id": team.bot_user, "app_id": "A1",
                "team": {"id": team.id, "name": f"Workspace {team.id}"}, "enterprise": None, "authed_user": {"id": "U1"}}

    def place(self, team, a, key="channel", member=True):
        channel = team.channels.get(a[key])
        need(channel, "channel_not_found")
        need(not channel.archived, "is_archived")
        need(not member or team.bot_user in channel.members, "not_in_channel")
        return channel

    def ours(self, team, channel, ts, error="cant_update_message"):
        need(isinstance(ts, str), "invalid_arguments")
        message = channel.messages.get(ts)
        need(message, "message_not_found")
        need(message.user == team.bot_user, error)
        return message

    # --- messages --------------------------------------------------------------------------------------------

    def content(self, a, text_max):
        text, blocks, markdown = a.get("text", ""), a.get("blocks") or [], a.get("markdown_text")
        need(not markdown or not (text or blocks), CONFLICT)
        need(text or blocks or markdown, "no_text")
        need(len(text) <= text_max, "msg_too_long")
        need(len(markdown or "") <= 12000, "msg_too_long")
        need(len(blocks) <= 50, "invalid_blocks")
        self.check_blocks(blocks)
        return (markdown or text), blocks

    @staticmethod
    def check_blocks(blocks):
        n_markdown = 0
        for block in blocks:
            kind = block.get("type")
            if kind == "markdown":
                n_markdown += len(block["text"])
                need(block["text"], "invalid_blocks")
            elif kind == "section":
                need(block["text"]["type"] == "mrkdwn" and 1 <= len(block["text"]["text"]) <= 3000, "invalid_blocks")
            elif kind == "actions":
                need(1 <= len(block["elements"]) <= 25, "invalid_blocks")
                for e in block["elements"]:
                    need(e["type"] == "button" and e["action_id"] and 1 <= len(e["text"]["text"]) <= 75, "invalid_blocks")
                    need(e.get("style", "danger") in ("danger", "primary"), "invalid_blocks")
            else:
                raise Refusal("invalid_blocks")
        need(n_markdown <= 12000, "msg_blocks_too_long")

    def thread(self, channel, a):
        ts = a.get("thread_ts")
        need(ts is None or (isinstance(ts, str) and channel.root(ts)), "thread_not_found")
        return ts

    def do_chat_postMessage(self, team, a):
        channel = self.place(team, a)
        text, blocks = self.content(a, 40000)
        thread = self.thread(channel, a)
        metadata = a.get("metadata")
        need(metadata is None or (metadata.get("event_type") and isinstance(metadata.get("event_payload"), dict)), "metadata_too_large")
        message = channel.add(user=team.bot_user, bot_id=team.bot_id, text=text, blocks=blocks, thread_ts=thread, metadata=metadata)
        channel.statuses.append((thread, ""))
        return {"channel": channel.id, "ts": message.ts, "message": message.json()}

    def do_chat_update(self, team, a):
        channel = self.place(team, a)
        message = self.ours(team, channel, a["ts"])
        need(not message.streaming, "streaming_state_conflict")
        message.text, message.blocks = self.content(a, 4000)
        message.edits += 1
        return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": message.json()}

    def do_chat_delete(self, team, a):
        channel = self.place(team, a)
        self.ours(team, channel, a["ts"], "cant_delete_message")
        del channel.messages[a["ts"]]
        return {"channel": channel.id, "ts": a["ts"]}

    def do_chat_postEphemeral(self, team, a):
        channel = self.place(team, a)
        text, blocks = self.content(a, 40000)
        message = channel.add(user=team.bot_user, bot_id=team.bot_id, text=text, blocks=blocks, ephemeral_for=a["user"])
        return {"message_ts": message.ts}

    # --- streams ---------------------------------------------------------------------------------------------

    def do_chat_startStream(self, team, a):
        channel = self.place(team, a)
        need(channel.kind not in self.no_streams, "channel_type_not_supported")
        need(len(a.get("markdown_text", "")) <= 12000, "msg_too_long")
        if channel.kind != "im":
            need(a.get("recipient_user_id"), "missing_recipient_user_id")
            need(a.get("recipient_team_id"), "missing_recipient_team_id")
        message = channel.add(user=team.bot_user, bot_id=team.bot_id, text=a.get("markdown_text", ""), thread_ts=self.thread(channel, a),
                              streaming=True, streamed=True)
        return {"channel": channel.id, "ts": message.ts}

    def stream(self, team, a):
        channel = self.place(team, a)
        message = self.ours(team, channel, a["ts"], "message_not_owned_by_app")
        need(message.streaming, "message_not_in_streaming_state")
        need(len(a.get("markdown_text", "")) <= 12000, "msg_too_long")
        message.text += a.get("markdown_text", "")
        return channel, message

    def do_chat_appendStream(self, team, a):
        need(a.get("markdown_text"), "no_text")
        channel, message = self.stream(team, a)
        return {"channel": channel.id, "ts": message.ts}

    def do_chat_stopStream(self, team, a):
        self.check_blocks(a.get("blocks") or [])
        channel, message = self.stream(team, a)
        message.streaming = False
        message.blocks, message.metadata = a.get("blocks") or [], a.get("metadata")
        return {"channel": channel.id, "ts": message.ts, "message": message.json()}

    def do_assistant_threads_setStatus(self, team, a):
        channel = self.place(team, a, "channel_id")
        need(channel.root(a["thread_ts"]), "invalid_thread_ts")
        channel.statuses.append((a["thread_ts"], a["status"]))
        return {}

    # --- reactions, history ----------------------------------------------------------------------------------

    def do_reactions_add(self, team, a):
        channel = self.place(team, a)
        need(a["timestamp"] in channel.messages, "message_not_found")
        who = channel.messages[a["timestamp"]].reactions.setdefault(a["name"], set())
        need(team.bot_user not in who, "already_reacted")
        who.add(team.bot_user)
        return {}

    def do_reactions_remove(self, team, a):
        channel = self.place(team, a)
        need(a["timestamp"] in channel.messages, "message_not_found")
        who = channel.messages[a["timestamp"]].reactions.get(a["name"], set())
        need(team.bot_user in who, "no_reaction")
        who.discard(team.bot_user)
        return {}

    def page(self, messages, a):
        oldest, limit, offset = a.get("oldest", "0"), int(a.get("limit", 100)), int(a.get("cursor") or 0)
        limit = min(limit, self.page_max)
        found = [m for m in messages if float(m.ts) >= float(oldest) and not m.ephemeral_for]
        part = found[offset:offset + limit]
        more = offset + limit < len(found)
        return {"messages": [m.json(a.get("include_all_metadata") == "true") for m in part], "has_more": more,
                "response_metadata": {"next_cursor": str(offset + limit) if more else ""}}

    def do_conversations_replies(self, team, a):
        channel = self.place(team, a)
        need(channel.root(a["ts"]), "thread_not_found")
        return self.page([m for m in channel.messages.values() if m.thread_ts == a["ts"] or m.ts == a["ts"]], a)

    def do_conversations_history(self, team, a):
        channel = self.place(team, a)
        return self.page([m for m in reversed(channel.messages.values()) if m.thread_ts in (None, m.ts)], a)

    # --- HTTP ------------------------------------------------------------------------------------------------

    async def arguments(self, method, request):
        if request.content_type == "application/json" and method not in READS:
            return json.loads(await request.text() or "{}")
        form = dict(await request.post())
        for key in ("blocks", "metadata"):
            if key in form:
                form[key] = json.loads(form[key])
        return form

    @staticmethod
    def answer(body, status=200, headers=None):
        return web.json_response(body, status=status, headers=headers)
