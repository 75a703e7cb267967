"""A Discord server with people, and gateways that live there."""
from fakes.discord import FakeDiscord

from .wait import wait_until


class Town:
    def __init__(self, world):
        self.world = world
        self.discord = FakeDiscord().start()
        self.bot = self.discord.add_bot()
        self.guild = self.discord.add_guild("Guild", bots=[self.bot])
        self.channel = self.guild.channel("general")
        self.alice = self.discord.person("alice")

    def close(self):
        self.discord.stop()

    def gateway(self, channel=None, **sections):
        """A gateway with one Discord account, not started. channel: keys to add to it."""
        gateway = self.world.gateway(None, **sections)
        gateway.settings["channels"].append({"name": "guild", "type": "discord", "token": "env:DISCORD_TOKEN",
                                             "api_url": self.discord.api_url, "takeover": "2s", **(channel or {})})
        gateway.env["DISCORD_TOKEN"] = self.bot.token
        return gateway

    def serve(self, channel=None, **sections):
        gateway = self.gateway(channel, **sections).start()
        self.wait_live()
        return gateway

    def wait_live(self, n=1, timeout=30):
        wait_until(lambda: len(self.bot.live) == n, timeout, "the bot is online")

    # --- the contract ----------------------------------------------------------------------------------------

    def ask(self, text, where=None, who=None):
        """By mention, or in private."""
        where = where or self.channel
        return (who or self.alice).say(where, text, mention=self.bot if where.guild else None)

    def ask_all(self, texts, where=None):
        for text in texts:
            self.ask(text, where)

    def expect_answers(self, texts, where=None, timeout=30):
        """Each message got exactly one answer, in order, and the database knows the same."""
        where, wanted = where or self.channel, [f"echo: {t}" for t in texts]
        wait_until(lambda: self.answers(where)[-1:] == wanted[-1:] and len(self.answers(where)) >= len(wanted), timeout,
                   f"the answer to {texts[-1]!r}, having {self.answers(where)}")
        self.world.wait_settled(len(wanted), timeout)
        assert self.answers(where) == wanted
        assert self.world.one("SELECT count(*) FROM deliveries WHERE status <> 'sent'") == 0

    def answers(self, where=None):
        return (where or self.channel).texts(self.bot)
