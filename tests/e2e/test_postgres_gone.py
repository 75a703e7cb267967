"""PostgreSQL away: nothing is acknowledged, platforms repeat, turns in flight wait; /readyz says so."""
import pytest

from harness.wait import stays, wait_until
from harness.world import TELEGRAM_SECRET

QUICK = {"statement_timeout": "2s", "connect_timeout": "1s"}


def test_nothing_is_acknowledged_that_is_not_stored(own_world):
    world = own_world
    gateway = world.serve(postgres=QUICK)
    alice = world.bot.person(7)
    world.bot.say(alice, "one")
    world.expect_answers(alice, ["one"])
    world.servers.stop("postgres")
    wait_until(lambda: gateway.get("/readyz").status == 503)
    assert gateway.alive(), "health is not readiness"
    world.bot.say(alice, "two")
    wait_until(lambda: len(world.bot.deliveries) >= 3)
    assert all(d.status != 200 for d in world.bot.deliveries[1:])
    assert world.bot.pending_count() == 1
    world.servers.start("postgres")
    wait_until(gateway.ready)
    world.expect_answers(alice, ["one", "two"])


def test_a_poll_does_not_advance_without_postgres(own_world):
    world = own_world
    gateway = world.serve("poll", postgres=QUICK)
    alice = world.bot.person(7)
    world.bot.say(alice, "one")
    world.expect_answers(alice, ["one"])
    world.servers.stop("postgres")
    world.bot.say(alice, "two")
    wait_until(lambda: gateway.get("/readyz").status == 503)
    stays(lambda: world.bot.pending_count() == 1, 2)
    world.servers.start("postgres")
    world.expect_answers(alice, ["one", "two"], 60)


@pytest.mark.parametrize("how", ["server", "backends"])
def test_killed_in_the_middle_of_answers(own_world, how):
    world = own_world
    gateway = world.serve(postgres=QUICK, chat={"lease": "5s"})
    people = [world.bot.person(100 + n) for n in range(10)]
    texts = ["one", "two", "three"]
    world.model.delay = 0.1
    for text in texts:
        for person in people:
            world.bot.say(person, text)
    wait_until(lambda: len(world.model.asks) >= 5)
    if how == "server":
        world.servers.kill_postgres()
        world.servers.start("postgres")
    else:
        world.servers.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                              f"WHERE datname = '{world.database}' AND pid <> pg_backend_pid()")
    wait_until(lambda: world.one("SELECT count(*) FROM requests") == 30, 60)
    world.wait_settled(timeout=60)
    for person in people:
        world.expect_answers(person, texts)
    assert gateway.alive()


def test_a_slow_database_is_waited_for(own_world):
    world = own_world
    gateway = world.serve(postgres=QUICK)
    alice, bob = world.bot.person(7), world.bot.person(8)
    world.bot.say(alice, "one")
    world.expect_answers(alice, ["one"])
    connection = world.servers.connect(world.database)
    connection.autocommit = False
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE messages IN ACCESS EXCLUSIVE MODE")
        world.bot.say(alice, "two")
        world.bot.say(bob, "one")
        wait_until(lambda: any(d.status != 200 for d in world.bot.deliveries), what="the statement timed out, unacknowledged")
        assert gateway.alive()
    connection.rollback()
    connection.close()
    world.expect_answers(alice, ["one", "two"], 60)
    wait_until(lambda: world.bot.texts(bob) == ["echo: one"])


def test_a_finished_answer_waits_for_the_database(own_world):
    """The model has answered when PostgreSQL is away: the answer is kept and sent when it is back, not asked for again."""
    world = own_world
    gateway = world.serve(postgres=QUICK, chat={"lease": "30s"})
    alice = world.bot.person(7)
    held, release = world.model.held("an answer")
    world.model.on("slow", held)
    world.bot.say(alice, "slow")
    wait_until(lambda: world.model.asks)
    world.servers.stop("postgres")
    release()
    gateway.wait_log(r"not kept yet|trying again")
    world.servers.start("postgres")
    wait_until(lambda: world.bot.texts(alice) == ["an answer"], 40)
    world.wait_settled(1)
    assert len(world.model.asks) == 1


def test_a_start_before_postgres(own_world):
    world = own_world
    world.servers.stop("postgres")
    gateway = world.gateway(postgres=QUICK).spawn()
    wait_until(lambda: gateway.logged("not ready"))
    assert gateway.get("/readyz").status == 503
    answer = gateway.post("/hooks/telegram/support", {"update_id": 1}, {"X-Telegram-Bot-Api-Secret-Token": TELEGRAM_SECRET})
    assert answer.status != 200
    world.servers.start("postgres")
    wait_until(gateway.ready, 30)
