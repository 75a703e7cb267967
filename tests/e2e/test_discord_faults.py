"""What goes wrong between Discord and us: sockets, sessions, limits, lost answers. Each test counts answers."""
import pytest

from fakes.discord import ApiError, Fault
from harness.discord import Town
from harness.wait import stays, wait_until

LEASE = {"lease": "2s"}
MESSAGES = r"/channels/\d+/messages"


@pytest.fixture
def town(world):
    one = Town(world)
    yield one
    for gateway in world.gateways:
        gateway.close()
    one.close()
    assert not one.bot.violations and not one.discord.violations


# --- the socket ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("at", ["hello", "identify", "resume", "ready", "live"])
def test_dropped_in_each_state(town, at):
    if at in ("resume", "live"):
        town.serve()
        if at == "resume":
            town.bot.gateway.drop("resume")
        town.bot.gateway.drop("live")
    else:
        town.bot.gateway.drop(at)
        gateway = town.gateway()
        gateway.spawn()
        town.wait_live()
        # Before a session nobody counts on us, and that READY was sent does not mean that it was read.
        wait_until(lambda: gateway.get("/readyz").json["channels"]["guild"] == "up", what="a session is known")
    town.ask_all(["one", "two", "three"])
    town.expect_answers(["one", "two", "three"])
    assert len(town.bot.identifies) <= 2


@pytest.mark.parametrize("at", ["hello", "live"])
def test_op_7(town, at):
    if at == "hello":
        town.bot.gateway.op7("hello")
    town.serve()
    if at == "live":
        town.bot.gateway.op7()
    town.ask_all(["one", "two"])
    town.expect_answers(["one", "two"])
    assert len(town.bot.identifies) == 1
    if at == "live":
        wait_until(lambda: len(town.bot.resumes) == 1)
        assert town.bot.resumes[0]["path"] == "/resume-gateway"


def test_op_9_that_can_be_resumed(town):
    town.serve()
    town.bot.gateway.op9(True)
    town.ask_all(["one", "two"])
    town.expect_answers(["one", "two"])
    assert len(town.bot.identifies) == 1 and town.bot.resumes


def test_op_9_that_ends_the_session_leaves_no_gap(town):
    town.serve()
    town.ask("before")
    town.expect_answers(["before"])
    town.bot.end_sessions()
    town.bot.gateway.drop()
    town.ask_all(["meanwhile 1", "meanwhile 2"])
    wait_until(lambda: len(town.bot.identifies) == 2)
    town.wait_live()
    town.ask("after")
    wait_until(lambda: len(town.answers()) == 4)
    assert sorted(town.answers()) == sorted(f"echo: {t}" for t in ["before", "meanwhile 1", "meanwhile 2", "after"])
    assert town.answers().index("echo: meanwhile 1") < town.answers().index("echo: meanwhile 2")


def test_a_gap_is_filled_where_discord_lets_us(town):
    """A list that cannot be had at first, one that never can, a channel that we may not read: the rest is found."""
    closed = town.guild.channel("closed")
    town.serve()
    town.ask("before")
    town.expect_answers(["before"])
    town.discord.inject("GET", r"/guilds/\d+/channels", Fault.error_of(500, 0, "500: Internal Server Error"))
    town.discord.inject("GET", r"/guilds/\d+/threads/active", Fault.error_of(403, 50001, "Missing Access"))
    town.discord.inject("GET", rf"/channels/{closed.id}/messages", Fault.error_of(403, 50001, "Missing Access"))
    town.bot.end_sessions()
    town.bot.gateway.drop()
    town.ask("secret", closed)
    town.ask("meanwhile")
    town.expect_answers(["before", "meanwhile"])
    assert not town.answers(closed)


def test_no_heartbeat_is_answered(town):
    town.discord.heartbeat_ms = 1000
    town.serve()
    town.bot.gateway.no_ack()
    town.ask("one")
    town.expect_answers(["one"])
    wait_until(lambda: town.bot.resumes, what="the zombie was left")
    town.wait_live()
    town.ask("two")
    town.expect_answers(["one", "two"])
    assert len(town.bot.identifies) == 1


@pytest.mark.parametrize("code", [1006, 4000, 4001, 4002, 4008, 4009])
def test_close_codes_that_resume(town, code):
    town.serve()
    if code == 1006:
        town.bot.gateway.drop()
    else:
        town.bot.gateway.close(code, ends=False)
    town.ask_all(["one", "two"])
    town.expect_answers(["one", "two"])
    assert len(town.bot.identifies) == 1 and len(town.bot.resumes) == 1


@pytest.mark.parametrize("code", [1000, 4003, 4005, 4006, 4007])
def test_close_codes_that_begin_anew(town, code):
    town.serve()
    town.bot.gateway.close(code, ends=True)
    wait_until(lambda: len(town.bot.identifies) == 2)
    town.wait_live()
    town.ask_all(["one", "two"])
    town.expect_answers(["one", "two"])
    assert not town.bot.resumes


@pytest.mark.parametrize("code,word", [(4004, "token"), (4010, "shard"), (4011, "shard"), (4012, "version"), (4013, "intent"),
                                       (4014, "Message Content Intent")])
def test_close_codes_that_stop(town, code, word):
    gateway = town.serve()
    town.bot.gateway.close(code)
    gateway.wait_log(f"(?i)channel down.*{word}|down.*{word}")
    assert gateway.get("/readyz").json["channels"]["guild"] != "up"
    stays(lambda: len(town.bot.identifies) == 1 and not town.bot.resumes, 2)


def test_a_ready_that_never_comes(town):
    town.bot.gateway.no_ready()
    gateway = town.gateway({"ready": "1s"}).spawn()
    gateway.wait_log("confirms neither")
    town.wait_live()
    town.ask("one")
    town.expect_answers(["one"])
    assert len(town.bot.identifies) == 2


def test_a_resume_that_is_never_confirmed(town):
    town.serve({"ready": "1s"})
    town.bot.gateway.no_resumed(replay=False)
    town.bot.gateway.drop()
    town.ask_all(["one", "two"])
    town.expect_answers(["one", "two"])
    assert len(town.bot.resumes) == 2 and len(town.bot.identifies) == 1


def test_a_bomb_does_not_fill_the_memory(town):
    gateway = town.serve()
    town.bot.gateway.bomb()
    town.ask("one")
    town.expect_answers(["one"])
    wait_until(lambda: town.bot.resumes)
    assert gateway.alive()


def test_a_huge_server_is_taken_and_forgotten(town):
    gateway = town.serve()
    town.bot.gateway.huge_guild(5_000_000)
    town.ask("one")
    town.expect_answers(["one"])
    assert len(town.bot.sockets) == 1 and gateway.alive()


@pytest.mark.parametrize("text", ["nonsense", '{"op":"x"}', '{"op":99,"d":{}}', "[]"])
def test_what_no_one_can_read(town, text):
    town.serve()
    town.bot.gateway.raw(text)
    town.bot.push("SOMETHING_NEW", {"id": 1}, town.guild)
    town.bot.push("MESSAGE_CREATE", {"id": "no number", "channel_id": 7}, town.guild)
    town.ask("one")
    town.expect_answers(["one"])


def test_the_sessions_of_the_day_are_used_up(town):
    town.bot.session_limit.update(remaining=0, reset_after=3_600_000)
    gateway = town.gateway().spawn()
    gateway.wait_log("session_start_limit")
    stays(lambda: not town.bot.identifies, 2)
    assert not town.bot.sockets


# --- limits and answers of the API -------------------------------------------------------------------------------

@pytest.mark.parametrize("scope", ["user", "shared", "global"])
def test_rate_limits(town, scope):
    town.serve()
    town.discord.inject("POST", MESSAGES, Fault.too_many(1.5, scope))
    town.ask_all(["one", "two", "three"])
    town.expect_answers(["one", "two", "three"])
    assert town.bot.invalid_requests <= 1


def test_buckets_are_respected(town):
    town.serve()
    texts = [f"message {n}" for n in range(12)]
    town.ask_all(texts)
    town.expect_answers(texts, timeout=60)
    assert town.bot.invalid_requests == 0, "we never run into a limit that headers tell of"


def test_cloudflare_is_obeyed(town):
    gateway = town.serve()
    town.discord.inject("POST", MESSAGES, Fault.cloudflare())
    town.ask("one")
    gateway.wait_log("Cloudflare refuses")
    n = len(town.bot.calls)
    stays(lambda: len(town.bot.calls) <= n + 2, 2)


@pytest.mark.parametrize("fault", [Fault.error_of(500, 0, "500: Internal Server Error"), Fault("html"), Fault("lost_before")],
                         ids=["500", "502", "lost before"])
def test_a_failure_of_the_api_is_tried_again(town, fault):
    town.serve()
    town.discord.inject("POST", MESSAGES, fault)
    town.ask_all(["one", "two"])
    town.expect_answers(["one", "two"])


def test_an_answer_whose_receipt_is_lost_is_there_once(town):
    town.serve()
    town.discord.inject("POST", MESSAGES, Fault("lost_after"))
    town.ask_all(["one", "two"])
    town.expect_answers(["one", "two"])


def test_lost_for_longer_than_discord_remembers(town):
    town.discord.nonce_seconds = 0
    town.serve()
    town.discord.inject("POST", MESSAGES, Fault("lost_after"))
    town.ask_all(["one", "two"])
    town.expect_answers(["one", "two"])
    assert town.bot.calls_of("GET", MESSAGES), "the channel itself knows"


def test_a_preview_whose_receipt_is_lost_becomes_the_answer(world, town):
    town.serve(chat={"preview_after": "0s"})
    town.discord.inject("POST", MESSAGES, Fault("lost_after"))
    world.model.on("grow", world.model.stream(["a ", "growing ", "answer"], pause=0.5))
    town.ask("grow")
    world.wait_settled(1)
    assert town.answers() == ["a growing answer"]
    # The one nonce is meant: what comes back is the preview, and is edited.
    assert all("of another text" in v for v in town.bot.violations)
    town.bot.violations.clear()


def test_where_we_may_not_write(world, town):
    town.serve()
    town.channel.refuse(ApiError(403, 50013, "Missing Permissions"))
    town.ask("one")
    world.wait_settled(1)
    assert world.one("SELECT status FROM deliveries") == "dead"
    town.channel.refuse(None)
    town.ask("two")
    wait_until(lambda: town.answers() == ["echo: two"])


def test_a_token_that_is_revoked(town):
    gateway = town.serve()
    town.bot.reset_token()
    gateway.wait_log("token")
    n = len(town.discord.calls)
    stays(lambda: len(town.discord.calls) <= n + 3, 3)


# --- several processes, and none -----------------------------------------------------------------------------------

def test_two_processes_hold_one_connection(town):
    pair = [town.gateway(chat=LEASE).start() for _ in range(2)]
    town.wait_live()
    town.ask_all(["one", "two"])
    town.expect_answers(["one", "two"])
    assert len(town.bot.identifies) == 1
    for gateway in pair:
        assert gateway.get("/readyz").json["ready"] is True


def test_shards_are_spread_and_taken_over(town):
    town.bot.shards, town.bot.max_concurrency = 2, 2
    guilds = [town.discord.add_guild(f"G{n}", bots=[town.bot], shard=(n, 2)) for n in range(2)]
    channels = [g.channel("general") for g in guilds]
    pair = [town.gateway(chat=LEASE).start() for _ in range(2)]
    town.wait_live(2)
    for channel in channels:
        town.ask("one", channel)
        town.expect_answers(["one"], channel)
    pair[0].kill()
    for channel in channels:
        town.ask("two", channel)
    for channel in channels:
        town.expect_answers(["one", "two"], channel, 40)
    assert len(town.bot.identifies) == 2, "what the dead one had is resumed"


def test_a_stop_hands_the_session_over(town):
    first, second = [town.gateway(chat=LEASE).start() for _ in range(2)]
    town.wait_live()
    holder = first if first.logged("gateway session begun") else second
    other = second if holder is first else first
    town.ask("one")
    town.expect_answers(["one"])
    holder.stop()
    town.ask("two")
    town.expect_answers(["one", "two"])
    assert other.logged("gateway session resumed")
    assert len(town.bot.identifies) == 1


def test_a_restart_loses_nothing(town):
    gateway = town.serve(chat=LEASE)
    town.ask("one")
    town.expect_answers(["one"])
    gateway.stop()
    town.ask_all(["two", "three"])
    gateway.start()
    town.expect_answers(["one", "two", "three"])
    assert len(town.bot.identifies) == 1 and len(town.bot.resumes) == 1


POINTS = ["discord.shard.lease.done", "discord.shard.limit.done", "discord.shard.pace.done", "discord.shard.live.start",
          "intake.store.start", "intake.store.done", "turn.claim.done", "turn.keep.start", "delivery.mark.done",
          "delivery.send.start", "delivery.send.done", "delivery.record.start", "delivery.record.done"]


@pytest.mark.parametrize("point", POINTS)
def test_killed_and_resumed_by_another(world, town, point):
    """kill -9 at each state of the owner: no event is lost and none is answered twice."""
    first = town.gateway(chat=LEASE)
    begins = point.startswith("discord.")
    if begins:
        first.spawn(PARLEY_ABORT_AT=f"{point}:1")
        first.wait_killed()
        second = town.gateway(chat=LEASE).start()
        town.wait_live()
        town.ask_all(["one", "two"])
    else:
        first.start(PARLEY_ABORT_AT=f"{point}:2")
        town.wait_live()
        second = town.gateway(chat=LEASE).start()
        town.ask_all(["one", "two"])
        first.wait_killed()
    town.ask("three")
    wait_until(lambda: town.answers()[-1:] == ["echo: three"], 40, f"having {town.answers()}")
    world.wait_settled(3, 40)
    assert town.answers() == ["echo: one", "echo: two", "echo: three"]
    assert {s for s, in world.sql("SELECT status FROM deliveries")} == {"sent"}
    assert second.alive() and len(town.bot.identifies) <= 2


def test_killed_while_discord_has_forgotten_the_session(town):
    first = town.serve(chat=LEASE)
    town.ask("one")
    town.expect_answers(["one"])
    first.kill()
    town.ask("two")
    town.bot.end_sessions()
    town.gateway(chat=LEASE).start()
    wait_until(lambda: len(town.bot.identifies) == 2, 30)
    town.expect_answers(["one", "two"], timeout=40)


def test_postgres_is_away_for_a_while(own_world):
    town = Town(own_world)
    try:
        gateway = town.serve(chat=LEASE)
        town.ask("one")
        town.expect_answers(["one"])
        own_world.servers.stop("postgres")
        town.ask("two")
        stays(lambda: "echo: two" not in town.answers(), 1)
        own_world.servers.start("postgres")
        town.expect_answers(["one", "two"], timeout=60)
        assert gateway.alive()
    finally:
        for gateway in own_world.gateways:
            gateway.close()
        town.close()
