"""kill -9 at every named step of intake, turn and delivery: every acknowledged message has exactly one answer, in order.

The steps are those that `parley steps` prints, so a new step is tested from its first day. The process kills itself
when it passes the step (PARLEY_ABORT_AT); what a step needs to be reached at all is in `test_killed_at`, and how often it is
passed in `times`.
"""
import functools
import subprocess

import pytest

from fakes.telegram import Fault
from harness.gateway import BINARY
from harness.wait import wait_until

TEXTS = ["first", "second", "third"]
LEASE = {"lease": "1s"}
# The answer is seen growing from its first word.
GROWING = {**LEASE, "preview_after": "0s"}

# Reached only while PostgreSQL is away in the middle of a turn: test_postgres_gone.py.
ONLY_WITHOUT_POSTGRES = {"turn.keep_wait", "delivery.record_wait"}
# Reached only by a vote on what is not recorded: test_killed_while_a_vote_waits.
ONLY_BY_VOTES = {"intake.wait"}
# From the commit that keeps and marks to that of the record nobody can know whether Telegram took the message.
UNKNOWN = {"turn.keep.done", "turn.deliver.start", "delivery.load.start", "delivery.load.done", "delivery.wait.start",
           "delivery.wait.done", "delivery.mark.start", "delivery.mark.done", "delivery.send.start", "delivery.send.done",
           "delivery.record.start"}


@functools.lru_cache(None)
def all_steps():
    try:
        return subprocess.run([BINARY, "steps"], text=True, capture_output=True, check=True, timeout=20).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return ["parley-steps.does-not.work"]  # collected as one failing test


def points():
    return [p for p in all_steps() if p.rsplit(".", 1)[0] not in ONLY_WITHOUT_POSTGRES | ONLY_BY_VOTES]


@pytest.mark.parametrize("point", ["intake.wait.start", "intake.wait.done"])
def test_killed_while_a_vote_waits(world, point):
    """Telegram has heard that the vote arrived; what it was about is not ours, so nothing is lost with it."""
    gateway = world.gateway(chat=LEASE).start(PARLEY_ABORT_AT=f"{point}:1")
    world.hook(gateway)
    alice = world.bot.person(7)
    world.bot.push({"message_reaction": {"chat": alice.chat, "message_id": 999, "date": 1, "old_reaction": [],
                                         "user": {"id": 7, "is_bot": False, "first_name": "Alice"},
                                         "new_reaction": [{"type": "emoji", "emoji": "\U0001F44D"}]}})
    gateway.wait_killed()
    gateway.start()
    world.bot.say(alice, TEXTS[0])
    world.expect_answers(alice, TEXTS[:1])
    assert world.sql("SELECT vote FROM feedback") == []


@pytest.mark.parametrize("point", points())
def test_killed_at(world, point):
    if point.startswith("delivery.notice"):
        world.bot.inject("sendMessage", Fault("lost_after", when=lambda p: "second" in p.text("text")))
    gateway = world.gateway(chat=LEASE)
    alice = world.bot.person(7)

    # Without the cached context the second message reads the first from PostgreSQL.
    gateway.start()
    world.hook(gateway)
    world.bot.say(alice, TEXTS[0])
    world.expect_answers(alice, TEXTS[:1])
    gateway.kill()
    world.redis.flushdb()

    gateway.start(PARLEY_ABORT_AT=f"{point}:{times(point)}")
    for text in TEXTS[1:]:
        world.bot.say(alice, text)
    gateway.wait_killed()
    gateway.start()
    check(world, alice, point)


@pytest.mark.parametrize("point", ["intake.store.done", "turn.claim.start"])
def test_killed_with_a_message_that_was_claimed_as_it_came(world, point):
    """Invariants 1 to 3: it is in PostgreSQL as ours, and nobody has begun; the lease ends."""
    gateway = world.gateway(chat=LEASE).start(PARLEY_ABORT_AT=f"{point}:1")
    world.hook(gateway)
    alice = world.bot.person(7)
    world.bot.say(alice, TEXTS[0])
    gateway.wait_killed()
    assert world.sql("SELECT status, attempt FROM requests") == [("running", 1)]
    gateway.start()
    world.expect_answers(alice, TEXTS[:1])
    assert world.sql("SELECT status, attempt FROM requests") == [("answered", 2)]


def times(point):
    """Of two messages that both pass a step, the process dies at the second; steps that only one passes count once."""
    once = ("turn.history", "delivery.load", "delivery.notice")
    return 1 if point.startswith(once) else 2


def check(world, alice, point):
    world.wait_settled(len(TEXTS), 60)
    wait_until(lambda: world.bot.pending_count() == 0)
    if point in UNKNOWN:
        wait_until(lambda: any("/again" in t for t in world.bot.texts(alice)), what="the person is told")
    texts = world.bot.texts(alice)
    answers = [t for t in texts if t.startswith("echo: ")]
    notices = [t for t in texts if not t.startswith("echo: ")]
    wanted = [f"echo: {t}" for t in TEXTS]
    statuses = world.sql("SELECT r.query, d.status FROM requests r JOIN deliveries d ON d.request_id = r.id ORDER BY r.id")
    assert world.one("SELECT count(*) FROM requests WHERE status <> 'answered'") == 0
    assert [q for q, _ in statuses] == TEXTS, "one reply each"
    if point in UNKNOWN or point.startswith("delivery.notice"):
        expect_unknown(answers, notices, wanted, statuses, at_least=1)
    elif point.startswith("intake."):
        # It dies as the third message comes in; nobody knows how far the second one's answer is by then.
        expect_unknown(answers, notices, wanted, statuses, at_least=0)
    else:
        assert answers == wanted and not notices
        assert {s for _, s in statuses} == {"sent"}


def expect_unknown(answers, notices, wanted, statuses, at_least):
    lost = [f"echo: {q}" for q, status in statuses if status == "unknown"]
    assert at_least <= len(lost) <= 1
    assert answers in (wanted, [w for w in wanted if w not in lost]), "nothing twice, nothing out of order"
    assert len(notices) <= len(lost) and all("/again" in n for n in notices)
    assert {s for _, s in statuses} <= {"sent", "unknown"}


@pytest.mark.parametrize("point", sorted(UNKNOWN))
def test_killed_while_the_preview_becomes_the_answer(world, point):
    """An edit can be repeated without harm: where the answer grew before people's eyes, nothing is unknown."""
    gateway = world.gateway(chat=GROWING).start()
    world.hook(gateway)
    alice = world.bot.person(7)
    world.model.on("grow", world.model.stream(["a ", "growing ", "answer"], pause=0.5))
    gateway.kill()
    gateway.start(PARLEY_ABORT_AT=point)
    world.bot.say(alice, "grow")
    gateway.wait_killed()
    gateway.start()
    world.wait_settled(1, 60)
    assert world.bot.texts(alice) == ["a growing answer"]
    assert world.one("SELECT status FROM deliveries") == "sent"
    assert len(world.model.asks) == 1, "a finished answer is not paid for twice"


def test_killed_while_the_model_writes(world):
    """The half-written preview becomes the whole answer of the second attempt: one message."""
    gateway = world.gateway(chat=GROWING).start()
    world.hook(gateway)
    alice = world.bot.person(7)
    world.model.on("grow", world.model.endless(pause=0.1), times=1)
    world.bot.say(alice, "grow")
    wait_until(lambda: world.bot.texts(alice) and
               world.one("SELECT preview_message FROM requests") == str(world.bot.messages(alice)[0].message_id))
    gateway.kill()
    gateway.start()
    wait_until(lambda: world.bot.texts(alice) == ["echo: grow"])
    world.wait_settled(1)
    assert world.one("SELECT attempt FROM requests") >= 2


@pytest.mark.parametrize("mode", ["webhook", "poll"])
def test_killed_again_and_again_under_load(world, mode):
    """At no particular step: what was acknowledged is answered, once and in order."""
    gateway = world.gateway(mode, chat=LEASE).start()
    if mode == "webhook":
        world.hook(gateway)
    people = [world.bot.person(100 + n) for n in range(8)]
    texts = [f"message {n}" for n in range(12)]
    for round_no in range(3):
        for text in texts[round_no * 4:round_no * 4 + 4]:
            for person in people:
                world.bot.say(person, text)
        wait_until(lambda: world.one("SELECT count(*) FROM requests WHERE status = 'answered'") > round_no * 10)
        gateway.kill()
        gateway.start()
    wait_until(lambda: world.one("SELECT count(*) FROM requests") == len(people) * len(texts), 60)
    world.wait_settled(timeout=60)
    lost = world.one("SELECT count(*) FROM deliveries WHERE status = 'unknown'")
    wanted = [f"echo: {t}" for t in texts]
    missing = 0
    for person in people:
        answers = [t for t in world.bot.texts(person) if t.startswith("echo: ")]
        assert len(set(answers)) == len(answers), "nothing twice"
        assert answers == [w for w in wanted if w in answers], "in order"
        missing += len(wanted) - len(answers)
    assert missing <= lost, "what is missing is what the person was told may be missing"
