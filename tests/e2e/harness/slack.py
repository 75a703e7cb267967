"""A Slack workspace with people, and gateways that live there."""
from fakes.slack import FakeSlack

from .wait import wait_until


class Workspace:
    def __init__(self, world, transport="socket"):
        self.world, self.transport = world, transport
        self.slack = FakeSlack().start()
        self.team = self.slack.add_team()
        self.channel, self.dm = self.team.channel(), self.team.channel("im")
        self.alice = self.team.person()

    def close(self):
        self.slack.stop()

    def gateway(self, channel=None, **sections):
        """A gateway with one Slack account, not started. channel: keys to add to it."""
        gateway = self.world.gateway(None, **sections)
        keys = {"name": "team", "type": "slack", "transport": self.transport, "bot_token": "env:SLACK_BOT_TOKEN", "api_url": self.slack.api_url}
        if self.transport == "socket":
            keys.update(app_token="env:SLACK_APP_TOKEN", ping="1s")
        else:
            keys.update(signing_secret="env:SLACK_SIGNING_SECRET")
        keys.update(channel or {})
        gateway.settings["channels"].append({k: v for k, v in keys.items() if v is not None})
        gateway.env.update(SLACK_BOT_TOKEN=self.team.token, SLACK_APP_TOKEN=self.slack.app_token,
                           SLACK_SIGNING_SECRET=self.slack.signing_secret, SLACK_CLIENT_SECRET=self.slack.client_secret,
                           SLACK_SEAL="a long random text for tests only")
        return gateway

    def serve(self, channel=None, **sections):
        return self.ready(self.gateway(channel, **sections).start())

    def ready(self, gateway):
        if self.transport == "events":
            wait_until(lambda: gateway.get("/readyz").json["channels"]["team"] == "up", 30, "Slack has said who we are")
            self.slack.hook = (f"{gateway.url}/hooks/slack/team", self.slack.signing_secret)
        else:
            wait_until(lambda: len(self.slack.sockets) >= 2, 30, "two sockets are open")
        return gateway

    # --- the contract ----------------------------------------------------------------------------------------

    def ask(self, text, where=None, who=None, thread=None):
        """By mention, or in private."""
        where = where or self.channel
        mention = "" if where.kind == "im" else f"<@{self.team.bot_user}> "
        return self.slack.say(where, who or self.alice, mention + text, thread=thread.ts if thread else None)

    def answers(self, where=None, thread=None):
        """What we said, as a person reads it."""
        messages = (where or self.channel).of(self.team.bot_user, thread.ts if thread else None)
        return [m.shown.replace("\u200b", "").replace("\u2060", "") if not m.streamed or m.blocks == [] else m.text for m in messages]

    def expect(self, texts, where=None, thread=None, timeout=30):
        """Each was answered exactly once, and the database knows the same. Slack promises no order of events."""
        wanted = [f"echo: {t}" for t in texts]
        wait_until(lambda: set(wanted) <= set(self.answers(where, thread)), timeout, f"the answers to {texts}")
        self.world.wait_settled(len(wanted), timeout)
        assert sorted(self.answers(where, thread)) == sorted(wanted)
        assert self.world.one("SELECT count(*) FROM deliveries WHERE status <> 'sent'") == 0
