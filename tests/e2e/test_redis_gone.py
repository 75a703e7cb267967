"""All of Redis may vanish at any moment: nothing is lost, and it heals."""
import pytest

from harness.wait import wait_until


def talk(world, alice, texts):
    for text in texts:
        world.bot.say(alice, text)
        wait_until(lambda: world.bot.texts(alice) and world.bot.texts(alice)[-1] == f"echo: {text}")
        world.wait_settled()


def test_answers_go_on_without_redis_and_the_model_still_sees_the_conversation(own_world):
    world = own_world
    gateway = world.serve()
    alice = world.bot.person(7)
    talk(world, alice, ["one"])
    world.servers.kill_redis()
    talk(world, alice, ["two", "three"])
    assert world.model.asks[-1].history == [("user", "one"), ("assistant", "echo: one"), ("user", "two"),
                                            ("assistant", "echo: two"), ("user", "three")]
    ready = gateway.get("/readyz")
    assert ready.status == 200 and "away" in ready.json["redis"], "degraded is not unready"
    gateway.wait_log(r"warn redis \"away\"")
    world.servers.start("redis")
    gateway.wait_log(r"info redis \"back\"")
    wait_until(lambda: gateway.get("/readyz").json["redis"] == "up")
    talk(world, alice, ["four", "five"])
    assert world.model.asks[-1].history[-3:] == [("user", "four"), ("assistant", "echo: four"), ("user", "five")]
    assert gateway.metric("parley_context_reads_total", result="hit") >= 1


def test_a_start_without_redis(own_world):
    world = own_world
    world.servers.kill_redis()
    world.serve()
    alice = world.bot.person(7)
    talk(world, alice, ["hello"])


def test_a_redis_that_hangs_costs_a_deadline_not_an_answer(own_world):
    world = own_world
    gateway = world.serve()
    alice = world.bot.person(7)
    talk(world, alice, ["one"])
    world.servers.freeze_redis()
    talk(world, alice, ["two"])
    world.servers.resume()
    wait_until(lambda: gateway.get("/readyz").json["redis"] == "up")
    talk(world, alice, ["three"])
    assert world.model.asks[-1].history[-2:] == [("assistant", "echo: two"), ("user", "three")]


def test_flushall_in_the_middle_of_a_conversation(world):
    world.serve()
    alice = world.bot.person(7)
    talk(world, alice, ["one"])
    world.redis.flushdb()
    world.redis.script_flush()
    talk(world, alice, ["two"])
    assert world.model.asks[-1].history == [("user", "one"), ("assistant", "echo: one"), ("user", "two")]


@pytest.mark.parametrize("make", [
    lambda r, k: r.set(k, "not a list"), lambda r, k: r.hset(k, "a", "b"), lambda r, k: r.rpush(k, "garbage", "\x00\xff", "{"),
], ids=["string", "hash", "garbage"])
def test_a_wrong_type_under_a_key(world, make):
    gateway = world.serve(chat={"rate_per_minute": 60})
    alice = world.bot.person(7)
    talk(world, alice, ["one"])
    keys = world.redis.keys("*")
    assert any(k.startswith("context:conv:") for k in keys) and any(k.startswith("rate:user:") for k in keys)
    for key in keys:
        world.redis.delete(key)
        make(world.redis, key)
    talk(world, alice, ["two"])
    assert world.model.asks[-1].history == [("user", "one"), ("assistant", "echo: one"), ("user", "two")]
    talk(world, alice, ["three"])
    assert gateway.alive()


def test_a_stale_context_is_not_believed(world):
    """Another process answered while this one's Redis was away: the count in PostgreSQL gives it away."""
    gateway = world.serve()
    alice = world.bot.person(7)
    talk(world, alice, ["one"])
    [key] = world.redis.keys("context:conv:*")
    old = world.redis.lrange(key, 0, -1)
    talk(world, alice, ["two"])
    world.redis.delete(key)
    world.redis.rpush(key, *old)
    talk(world, alice, ["three"])
    assert ("assistant", "echo: two") in world.model.asks[-1].history
    assert gateway.metric("parley_context_reads_total", result="miss") >= 1
