"""What stands in a fake Slack: workspaces, people, channels and messages; and what a person sees of them."""
import dataclasses
import itertools
import re


@dataclasses.dataclass
class Message:
    ts: str
    user: str
    text: str = ""
    thread_ts: str = None
    bot_id: str = None
    blocks: list = dataclasses.field(default_factory=list)
    metadata: dict = None
    reactions: dict = dataclasses.field(default_factory=dict)  # name -> set of users
    edits: int = 0
    streaming: bool = False
    streamed: bool = False
    ephemeral_for: str = None

    @property
    def shown(self):
        """What stands there: the text of the blocks, where there are some."""
        texts = [b["text"] if b["type"] == "markdown" else b["text"]["text"] for b in self.blocks if b["type"] in ("markdown", "section")]
        return "\n".join(texts) if texts else self.text

    @property
    def buttons(self):
        return [e["action_id"] for b in self.blocks if b["type"] == "actions" for e in b["elements"]]

    def pings(self):
        """Whom the message would wake up, by Slack's rules for mrkdwn."""
        return re.findall(r"<([!@][^>|]+)", self.shown + self.text)

    def json(self, metadata=False):
        d = {"type": "message", "user": self.user, "text": self.text, "ts": self.ts}
        if self.thread_ts:
            d["thread_ts"] = self.thread_ts
        if self.bot_id:
            d.update(bot_id=self.bot_id, app_id="A1")
        if self.blocks:
            d["blocks"] = self.blocks
        if self.streaming:
            d["streaming_state"] = "in_progress"
        if metadata and self.metadata:
            d["metadata"] = self.metadata
        return d


class Channel:
    def __init__(self, team, id, kind):
        self.team, self.id, self.kind = team, id, kind  # kind: channel, group, mpim, im
        self.messages = {}
        self.members = set()
        self.statuses = []  # (thread, status)
        self.archived = False

    def add(self, **fields):
        message = Message(ts=self.team.slack.next_ts(), **fields)
        self.messages[message.ts] = message
        return message

    def root(self, ts):
        return ts in self.messages and not (self.messages[ts].thread_ts or ts) != ts

    def of(self, user, thread=None):
        """Messages of a user, the oldest first; thread: only those under that message."""
        return [m for m in self.messages.values() if m.user == user and not m.ephemeral_for and (thread is None or m.thread_ts == thread)]


class Team:
    def __init__(self, slack, id):
        self.slack, self.id = slack, id
        number = id[1:]
        self.bot_user, self.bot_id, self.token = f"UBOT{number}", f"B{number}", f"xoxb-{number}-0123456789abcdef"
        self.channels = {}
        self.people = itertools.count(1)

    def channel(self, kind="channel", member=True):
        prefix = {"channel": "C", "group": "G", "mpim": "G", "im": "D"}[kind]
        channel = Channel(self, f"{prefix}{self.id}{len(self.channels) + 1}", kind)
        self.channels[channel.id] = channel
        if member:
            channel.members.add(self.bot_user)
        return channel

    def person(self):
        return f"U{self.id}{next(self.people)}"
