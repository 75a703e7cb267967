"""A fake of Discord, as strict as the real one: it refuses what Discord refuses and keeps its sessions.

    discord = FakeDiscord().start()
    bot = discord.add_bot("TOKEN", "parley")            # api_url = discord.api_url
    guild = discord.add_guild("Guild", bots=[bot])
    channel, alice = guild.channel("general"), discord.person("alice")
    m = alice.say(channel, "hello", mention=bot)        # dispatched to the bot's sessions, connected or not
    alice.press(channel.messages()[-1], "regenerate")   # an interaction
    channel.texts(bot)                                  # what the bot has said there, as it stands now
    discord.inject("POST", r"/channels/\\d+/messages", Fault.too_many(0.5, "shared"))
    bot.gateway.close(4000)                             # what goes wrong with sockets: discord_faults.Faults

Times of Discord that tests cannot wait for are attributes: heartbeat_ms, identify_seconds, interaction_seconds,
token_seconds, nonce_seconds, bot.limits.scale.
"""
import re

from aiohttp import web
from nacl.signing import SigningKey

from .discord_check import ApiError  # noqa: F401: for tests
from .discord_faults import Faults
from .discord_gateway import Gateway
from .discord_interactions import Interactions
from .discord_limits import Limits
from .discord_methods import Methods
from .discord_rest import PREFIX, Fault, Rest  # noqa: F401: Fault: for tests
from .discord_world import Guild, Person, Snowflakes
from .server import FakeServer


class FakeDiscord(FakeServer, Gateway, Rest, Methods, Interactions):
    def __init__(self):
        super().__init__()
        self.ids = Snowflakes()
        self.bots, self.people, self.guilds = {}, [], []
        self.channels, self.interactions, self.files = {}, {}, {}
        self.calls, self.faults, self.invalid, self.sockets = [], [], [], []
        self.violations = []  # by whom we do not know
        self.limits = Limits()  # of interactions, by their tokens
        self.heartbeat_ms, self.identify_seconds = 41250, 5.0
        self.interaction_seconds, self.token_seconds, self.nonce_seconds = 3.0, 900.0, 300.0
        self.invalid_limit = 10_000  # 401, 403, 429 in ten minutes, then Cloudflare
        self.split = False  # a payload of zlib-stream comes in two messages
        self.app.router.add_get("/gateway", self.handle_gateway)
        self.app.router.add_get("/resume-gateway", self.handle_gateway)
        self.app.router.add_get("/attachments/{tail:.*}", self._file)
        self.app.router.add_route("*", PREFIX + "/{tail:.*}", self.handle_rest)

    @property
    def api_url(self):
        return self.url + PREFIX

    @property
    def gateway_url(self):
        return f"ws://127.0.0.1:{self.port}/gateway"

    @property
    def resume_url(self):
        return f"ws://127.0.0.1:{self.port}/resume-gateway"

    # --- what tests do ---------------------------------------------------------------------------------------

    def add_bot(self, token="TEST.token-0123456789", username="parley"):
        self.bots[token] = Bot(self, token, username)
        return self.bots[token]

    def add_guild(self, name="Guild", bots=(), shard=None):
        """bots: those that are on it from now on; shard: (number, count) to which it shall belong."""
        def added():
            guild = Guild(self, name, bots, shard)
            self.guilds.append(guild)
            for bot in guild.bots:
                bot.dispatch("GUILD_CREATE", lambda s: guild.created(s.bot), guild, 1)
            return guild
        return self.call(added)

    def person(self, username="alice", is_bot=False):
        self.people.append(Person(self, username, is_bot))
        return self.people[-1]

    # --- inside ----------------------------------------------------------------------------------------------

    def everybody(self):
        return self.people + list(self.bots.values())

    @staticmethod
    def roles_in(text):
        return re.findall(r"<@&(\d+)>", text)

    def publish(self, event, channel, data, intent, only=None):
        """To all bots that see the channel, or to one. data: of a session."""
        for bot in [only] if only else channel.members:
            bot.dispatch(event, data, channel.guild, intent)

    async def _file(self, request):
        if request.path not in self.files:
            return web.Response(status=404, text="This content is no longer available.")
        body, kind = self.files[request.path]
        return web.Response(body=body, headers={"Content-Type": kind})


class Bot(Person):
    """An application and its user. Switches of the portal: message_content, members, presences."""

    def __init__(self, server, token, username):
        super().__init__(server, username, is_bot=True)
        self.token, self.application_id = token, server.ids.old()
        self._key = SigningKey.generate()
        self.public_key = bytes(self._key.verify_key).hex()
        self.interactions_url = None  # else: where interactions go, and nowhere else
        self.message_content, self.members, self.presences = True, False, False
        self.session_limit = {"total": 1000, "remaining": 1000, "reset_after": 14400000}
        self.max_concurrency, self.shards, self.shards_required = 1, 1, 1
        self.commands, self.limits, self.gateway, self.token_reset = [], Limits(), Faults(self), False
        self.calls, self.identifies, self.resumes, self.sessions, self.sockets = [], [], [], [], []
        self.violations = []  # of rules of Discord: a good client has none
        self.nonces, self.identified = {}, {}

    @property
    def flags(self):
        """Of the application: GATEWAY_MESSAGE_CONTENT_LIMITED, as bots on few servers have it."""
        return 1 << 19 if self.message_content else 0

    @property
    def invalid_requests(self):
        """Answers of 401, 403 and 429 in ten minutes."""
        return self.server.invalid_count(self)

    @property
    def live(self):
        """The sockets that have a session now."""
        return [s for s in self.sockets if s.state == "live"]

    def calls_of(self, method, path=".*"):
        """path: a regular expression for all of it, behind /api/v10."""
        return [c for c in list(self.calls) if c.method == method and re.fullmatch(path, c.path)]

    def dm(self, person):
        """The channel of their direct messages."""
        return self.server.call(self.server.dm, self, person)

    def dispatch(self, event, data, guild, intent):
        """An event, to every session that takes it. data: of a session."""
        for session in self.sessions:
            if session.takes(guild, intent):
                session.add(event, data(session))

    def push(self, event, data, guild=None):
        """Dispatch an event as it is."""
        self.server.call(self.dispatch, event, lambda s: data, guild, 0)

    def end_sessions(self):
        """Discord has forgotten them, as it does some minutes after a lost connection: a resume gets op 9."""
        for session in list(self.sessions):
            session.end()

    def reset_token(self):
        """The token is good for nothing from now on, and all sessions end."""
        self.server.call(self._reset_token)

    def _reset_token(self):
        self.token_reset, live = True, self.live
        self.end_sessions()
        for socket in live:
            socket.close(4004)

    # --- interactions by HTTP --------------------------------------------------------------------------------

    def sign(self, body):
        return self._key.sign(body).signature.hex()

    def set_interactions_url(self, url):
        """As in the portal, which saves only what proves that it checks signatures. None: the gateway again."""
        ping = f'{{"type":1,"id":"{self.server.ids.old()}","application_id":"{self.application_id}","version":1}}'.encode()
        self.interactions_url = url
        if not url:
            return
        status, body = self.probe(ping)
        wrong, _ = self.probe(ping, wrong=True)
        if (status, wrong) != (200, 401) or b'"type"' not in body:
            self.interactions_url = None
            raise AssertionError(f"the endpoint could not be verified: {status} {body!r}, wrong signature: {wrong}")

    def probe(self, body, wrong=False):
        """Post something to interactions_url: (status, body) of the answer. wrong: with a bad signature."""
        return self.server.run(self.server.post_signed(self, body, wrong))
