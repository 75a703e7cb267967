"""Limits of what a person may write, in Redis, and without it."""
import re

from harness.wait import stays, wait_until
from harness.webclient import Person, new_thread


def test_a_person_is_told_once_when_they_may_write_again(world):
    world.serve(chat={"rate_per_minute": 3})
    alice, bob = world.bot.person(7), world.bot.person(8)
    for n in range(8):
        world.bot.say(alice, f"message {n}")
    world.wait_settled(8)
    texts = world.bot.texts(alice)
    assert texts[:3] == [f"echo: message {n}" for n in range(3)]
    [notice] = texts[3:]
    assert re.search(r"again in \d+", notice)
    assert world.one("SELECT count(*) FROM requests WHERE status = 'refused' AND status_reason LIKE '%%rate%%'") == 5
    world.bot.say(bob, "others may")
    wait_until(lambda: world.bot.texts(bob) == ["echo: others may"])


def test_the_limit_is_shared_by_all_processes(world):
    first, second = world.gateway(chat={"rate_per_minute": 4}).start(), world.gateway(chat={"rate_per_minute": 4}).start()
    alice = world.bot.person(7)
    for n in range(8):
        world.hook((first, second)[n % 2])
        world.bot.say(alice, f"message {n}")
        wait_until(lambda: world.one("SELECT count(*) FROM requests") == n + 1)
        world.wait_settled()
    assert sum(t.startswith("echo: ") for t in world.bot.texts(alice)) == 4


def test_zero_means_no_limit(world):
    world.serve(chat={"rate_per_minute": 0})
    alice = world.bot.person(7)
    texts = [f"message {n}" for n in range(80)]
    world.say_all(alice, texts)
    world.expect_answers(alice, texts, 60)


def test_without_redis_each_process_counts_by_itself(own_world):
    gateway = own_world.serve(chat={"rate_per_minute": 3})
    own_world.servers.kill_redis()
    wait_until(lambda: gateway.metric("parley_redis_up") == 0)
    alice = own_world.bot.person(7)
    for n in range(6):
        own_world.bot.say(alice, f"message {n}")
    own_world.wait_settled(6)
    assert 1 <= sum(t.startswith("echo: ") for t in own_world.bot.texts(alice)) <= 4
    stays(gateway.alive)


def test_of_an_address_each_person_hears_that_it_writes_too_much(world):
    gateway = world.gateway(None, chat={"rate_ip_per_minute": 3}).start()
    pages = [Person(gateway).connect(gateway) for _ in range(2)]
    threads = [new_thread(), new_thread()]
    for n in range(5):
        pages[0].say(threads[0], f"message {n}")
    world.wait_settled(5)
    for n in range(2):
        pages[1].say(threads[1], f"also {n}")
    world.wait_settled(7)
    wait_until(lambda: len(pages[0].answers(threads[0])) == 4 and pages[1].answers(threads[1]))
    for page, thread, echoes in zip(pages, threads, ([f"echo: message {n}" for n in range(3)], [])):
        *answers, notice = page.answers(thread)
        assert answers == echoes
        assert re.match(r"More comes from your address than I may answer\. You can write again in \d+", notice), notice
