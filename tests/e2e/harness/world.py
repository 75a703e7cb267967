"""All that one test needs: a database, a Redis database, the fake platforms, and gateways to start."""
import copy

import psycopg2

from fakes.openai import FakeOpenAI
from fakes.telegram import FakeTelegram

from .gateway import Gateway
from .wait import wait_until

TELEGRAM_SECRET = "webhook-secret_0123456789"
OPEN = "('queued', 'running', 'sending')"


class World:
    def __init__(self, servers, folder, template=None):
        self.servers, self.folder = servers, folder
        self.database = servers.database_new(template)
        self.redis_number = servers.redis_new()
        self.redis = servers.redis(self.redis_number)
        self.telegram = FakeTelegram().start()
        self.bot = self.telegram.add_bot()
        self.model = FakeOpenAI().start()
        self.gateways = []
        self._connection = None

    def close(self):
        try:
            for gateway in self.gateways:
                gateway.close()
        finally:
            for gateway in self.gateways:
                if gateway.running:
                    gateway.kill()
            self.telegram.stop()
            self.model.stop()
            self._forget_connection()
            self.servers.database_drop(self.database)

    # --- gateways --------------------------------------------------------------------------------------------

    def settings(self, telegram="webhook", **sections):
        """The configuration of a gateway. telegram: "webhook", "poll" or None; sections: keys to add or change."""
        channels = [{"name": "web", "type": "web"}]
        if telegram:
            channels.append({"name": "support", "type": "telegram", "token": "env:TELEGRAM_TOKEN", "mode": telegram,
                             "api_url": self.telegram.url})
        if telegram == "webhook":
            channels[-1].update(secret_token="env:TELEGRAM_SECRET")
        elif telegram == "poll":
            channels[-1].update(poll="1s")
        settings = {
            "http": {"address": "127.0.0.1"},
            "postgres": {"url": self.servers.url_of(self.database)},
            "redis": {"url": f"{self.servers.redis_url}?db={self.redis_number}"},
            "chat": {"rate_per_minute": 0},
            "log": {"level": "debug"},
            "models": [{"name": "test", "type": "openai", "base_url": self.model.base, "api_key": "env:MODEL_KEY", "model": "test-model"}],
            "channels": channels,
        }
        for name, section in sections.items():
            if isinstance(section, dict):
                settings.setdefault(name, {}).update(section)
            else:
                settings[name] = section
        return settings

    def gateway(self, telegram="webhook", channel=None, **sections):
        """A gateway, not started. channel: keys to add to the Telegram channel."""
        settings = copy.deepcopy(self.settings(telegram, **sections))
        if channel:
            settings["channels"][-1].update(channel)
        env = {"TELEGRAM_TOKEN": self.bot.token, "TELEGRAM_SECRET": TELEGRAM_SECRET, "MODEL_KEY": "sk-test-0123456789"}
        gateway = Gateway(self.folder / f"gateway-{len(self.gateways) + 1}", settings, env)
        self.gateways.append(gateway)
        return gateway

    def hook(self, gateway):
        """Have the platform deliver to this gateway."""
        url = f"{gateway.url}/hooks/telegram/support"
        self.telegram.run(self.bot.point_webhook(url, TELEGRAM_SECRET))

    def serve(self, telegram="webhook", **more):
        """A running gateway, hooked up."""
        gateway = self.gateway(telegram, **more).start()
        if telegram == "webhook":
            self.hook(gateway)
        return gateway

    # --- what is in the database -----------------------------------------------------------------------------

    def sql(self, text, *values):
        try:
            return self._query(text, values)
        except psycopg2.OperationalError:  # the server was restarted
            self._forget_connection()
            return self._query(text, values)

    def _query(self, text, values):
        if self._connection is None or self._connection.closed:
            self._connection = self.servers.connect(self.database)
        with self._connection.cursor() as cursor:
            cursor.execute(text, values)
            return cursor.fetchall() if cursor.description else None

    def _forget_connection(self):
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def one(self, text, *values):
        return self.sql(text, *values)[0][0]

    def settled(self):
        """Nothing is waiting or under way."""
        return self.one(f"SELECT count(*) FROM requests WHERE status IN {OPEN}") == 0

    def wait_settled(self, n_requests=None, timeout=30):
        if n_requests is not None:
            wait_until(lambda: self.one("SELECT count(*) FROM requests") >= n_requests, timeout,
                       f"{n_requests} requests are in the database")
        wait_until(self.settled, timeout, "every request has ended")

    # --- the contract ----------------------------------------------------------------------------------------

    def say_all(self, chat, texts):
        for text in texts:
            self.bot.say(chat, text)

    def expect_answers(self, chat, texts, timeout=30):
        """Each message got exactly one answer, in the order of arrival, and the database knows the same."""
        wanted = [f"echo: {t}" for t in texts]
        wait_until(lambda: len(self.bot.messages(chat)) >= len(wanted) and self.bot.messages(chat)[-1].text == wanted[-1],
                   timeout, f"the answer to {texts[-1]!r}, having {self.bot.texts(chat)[-3:]}")
        self.wait_settled(len(wanted), timeout)
        assert self.bot.texts(chat) == wanted

    def expect_rows(self, chat, texts):
        """The conversation is in PostgreSQL: what they said and what we said, in order, and every delivery done."""
        rows = self.sql("""SELECT m.role, m.content FROM messages m JOIN conversations c ON c.id = m.conversation_id
                           WHERE c.place_channel = %s ORDER BY m.id""", str(chat.id))
        wanted = [r for t in texts for r in (("user", t), ("assistant", f"echo: {t}"))]
        assert sorted(rows) == sorted(wanted)
        assert [r for r in rows if r[0] == "user"] == [("user", t) for t in texts]
        assert self.one("SELECT count(*) FROM deliveries WHERE status <> 'sent'") == 0
        assert self.one("SELECT count(*) FROM requests WHERE status <> 'answered'") == 0
