"""Two processes on one database: one answers each message, and a dead or stopped one is replaced. Invariant 3."""
import signal

import pytest

from harness.wait import stays, wait_until

LEASE = {"lease": "2s"}


@pytest.fixture
def pair(world):
    """Both take webhooks; which one gets a message, the test decides by world.hook."""
    return [world.gateway(chat=LEASE).start() for _ in range(2)]


def test_messages_through_either_are_answered_once_and_in_order(world, pair):
    people = [world.bot.person(100 + n) for n in range(6)]
    texts = [f"message {n}" for n in range(10)]
    for n, text in enumerate(texts):
        world.hook(pair[n % 2])
        for person in people:
            world.bot.say(person, text)
        wait_until(lambda: world.bot.pending_count() == 0)
    for person in people:
        world.expect_answers(person, texts, 60)
        world.expect_rows(person, texts)
    assert all(g.metric("parley_messages_received_total") > 0 for g in pair)


@pytest.mark.parametrize("ending", ["never answered", "half streamed"])
def test_the_other_finishes_what_a_killed_one_began(world, pair, ending):
    first, second = pair
    world.hook(first)
    alice = world.bot.person(7)
    world.model.on("hard", world.model.silent() if ending == "never answered" else world.model.endless(0.05), times=1)
    world.bot.say(alice, "hard")
    world.bot.say(alice, "next")
    wait_until(lambda: world.model.asks and world.one("SELECT count(*) FROM requests") == 2)
    if ending == "half streamed":
        wait_until(lambda: world.bot.texts(alice), what="the preview, after a second")
        wait_until(lambda: world.one("SELECT max(preview_message) FROM requests") != "")
    first.kill()
    # The lease of 2 s runs out, a sweep finds it.
    wait_until(lambda: world.bot.texts(alice) and world.bot.texts(alice)[-1] == "echo: next", 8)
    assert world.bot.texts(alice) == ["echo: hard", "echo: next"]
    wait_until(lambda: second.metric("parley_requests_total", outcome="answered") == 2)


@pytest.mark.parametrize("shown", ["nothing", "its beginning"])
def test_one_that_slept_past_its_lease_cannot_write(world, shown):
    """Neither a row nor an edit: the message that showed its answer growing is the other's answer by then."""
    first, second = [world.gateway(chat=LEASE | {"preview_after": "0s" if shown != "nothing" else "10s"}).start()
                     for _ in range(2)]
    world.hook(first)
    alice = world.bot.person(7)
    world.model.on("hard", world.model.stream(["the ", "sleeper's ", "answer"], pause=1), times=1)
    world.bot.say(alice, "hard")
    wait_until(lambda: world.model.asks)
    if shown != "nothing":
        wait_until(lambda: world.one("SELECT max(preview_message) FROM requests") != "", what="the preview")
    first.freeze()
    wait_until(lambda: "echo: hard" in world.bot.texts(alice), 10)
    world.wait_settled(1)
    before = world.sql("SELECT status, attempt, reply_id FROM requests")
    first.thaw()
    first.wait_log(r"lease was lost|lost its lease|lease lost", 10)
    stays(lambda: [t for t in world.bot.texts(alice) if "sleeper's answer" in t] == [], 1)
    assert world.sql("SELECT status, attempt, reply_id FROM requests") == before
    assert [c for r, c in world.sql("SELECT role, content FROM messages") if r == "assistant"] == ["echo: hard"]
    world.bot.say(alice, "awake?")
    wait_until(lambda: world.bot.texts(alice)[-1] == "echo: awake?")
    assert first.alive() and second.alive()


def wakes_up_late(world, point):
    """Whom one process answers, which is stopped at a step and wakes when the other has answered; and then asks once more."""
    second = world.gateway(chat=LEASE)
    first = world.gateway(chat=LEASE).start(PARLEY_STOP_AT=point)
    second.start()
    world.hook(first)
    alice = world.bot.person(7)
    world.bot.say(alice, "hard")
    wait_until(lambda: world.one("SELECT count(*) FROM requests WHERE lease_owner IS NOT NULL"))
    world.wait_settled(1, 15)
    first.thaw()
    world.bot.say(alice, "next")
    wait_until(lambda: world.bot.texts(alice)[-1] == "echo: next")
    world.wait_settled(2)
    return alice


@pytest.mark.parametrize("point", ["turn.keep.start", "delivery.send.start"])
def test_one_stopped_at_a_step_wakes_up_to_a_lost_lease(world, point):
    """SIGSTOP exactly before it commits or sends."""
    alice = wakes_up_late(world, point)
    if point == "delivery.send.start":
        # Marked, not sent, asleep: the other cannot know, and says so. The sleeper does, and sends nothing.
        wait_until(lambda: any("/again" in t for t in world.bot.texts(alice)))
        assert [t for t in world.bot.texts(alice) if t.startswith("echo: ")] == ["echo: next"]
    else:
        assert world.bot.texts(alice) == ["echo: hard", "echo: next"]
    assert [c for r, c in world.sql("SELECT role, content FROM messages ORDER BY id") if r == "assistant"] == [
        "echo: hard", "echo: next"]


def test_one_that_slept_alone_sends_what_is_still_its_own(world):
    gateway = world.gateway(chat=LEASE).start(PARLEY_STOP_AT="delivery.send.start")
    world.hook(gateway)
    alice = world.bot.person(7)
    world.bot.say(alice, "hard")
    wait_until(lambda: world.one("SELECT count(*) FROM requests WHERE status = 'sending' AND lease_until < now()"))
    gateway.thaw()
    wait_until(lambda: world.bot.texts(alice))
    world.wait_settled(1)
    assert world.bot.texts(alice) == ["echo: hard"]


def test_one_stopped_before_it_marks_the_second_part_leaves_it_to_the_other(world):
    world.model.on("hard", world.model.stream(["a" * 3000, "\n\n", "b" * 3000]))
    alice = wakes_up_late(world, "delivery.mark.start:2")
    assert world.bot.texts(alice) == ["a" * 3000, "b" * 3000, "echo: next"]


def test_only_one_polls_and_the_other_takes_over(world):
    pair = [world.gateway("poll").start() for _ in range(2)]
    alice = world.bot.person(7)
    for n in range(5):
        world.bot.say(alice, f"message {n}")
    world.expect_answers(alice, [f"message {n}" for n in range(5)])
    stays(lambda: not any(c.code == 409 for c in world.bot.calls_of("getUpdates")), 1)
    [(owner,)] = world.sql("SELECT owner FROM channel_leases")
    polling = next(g for g in pair if f":{g.process.pid}:" in owner)
    polling.kill()
    world.bot.say(alice, "who is there?")
    wait_until(lambda: world.bot.texts(alice)[-1] == "echo: who is there?", 15)
    world.expect_answers(alice, [*[f"message {n}" for n in range(5)], "who is there?"])


def test_a_stopped_poller_gives_its_place_up_at_once(world):
    pair = [world.gateway("poll").start() for _ in range(2)]
    [(owner,)] = wait_until(lambda: world.sql("SELECT owner FROM channel_leases"))
    polling = next(g for g in pair if f":{g.process.pid}:" in owner)
    polling.signal(signal.SIGTERM)
    polling.process.wait(30)
    alice = world.bot.person(7)
    world.bot.say(alice, "hello")
    world.expect_answers(alice, ["hello"], 10)


def test_stop_reaches_an_answer_in_another_process(world, pair):
    first, second = pair
    world.hook(first)
    alice = world.bot.person(7)
    world.model.on("endless", world.model.endless(0.05))
    world.bot.say(alice, "endless")
    wait_until(lambda: world.bot.texts(alice))
    world.hook(second)
    world.bot.say(alice, "/stop")
    world.wait_settled(2, 15)
    wait_until(lambda: world.model.asks[0].cancelled)


def test_both_may_start_on_an_empty_database(world):
    world.database = world.servers.database_new()
    pair = [world.gateway().spawn() for _ in range(2)]
    wait_until(lambda: all(g.ready() for g in pair))
    assert all(g.running for g in pair)
