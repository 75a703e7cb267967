"""Buttons and reactions in Telegram, by webhook and by long poll."""
import pytest

from harness.wait import wait_until

FINAL = ["parley:regenerate", "parley:up", "parley:down"]


@pytest.fixture(params=["webhook", "poll"])
def alice(world, request):
    world.serve(request.param, chat={"preview_after": "0s"})
    return world.bot.person(7)


def answer(world, alice, n=1):
    message = wait_until(lambda: next((m for m in world.bot.messages(alice)[n - 1:n] if m.buttons == FINAL), None), what="an answer with buttons")
    world.wait_settled()
    return message


def test_thumbs(world, alice):
    world.bot.say(alice, "hello")
    message = answer(world, alice)
    world.bot.press(alice, message, "parley:up")
    wait_until(lambda: world.sql("SELECT vote, channel_user_id FROM feedback") == [(1, "7")])
    wait_until(lambda: [c.params["text"] for c in world.bot.calls_of("answerCallbackQuery")] == ["Noted, thank you."])
    world.bot.press(alice, message, "parley:down")
    wait_until(lambda: world.sql("SELECT vote FROM feedback") == [(-1,)])


def test_reactions(world, alice):
    world.bot.say(alice, "hello")
    message = answer(world, alice)
    world.bot.react(alice, message, new="\U0001F44D")
    wait_until(lambda: world.sql("SELECT vote FROM feedback") == [(1,)])
    world.bot.react(alice, message, old="\U0001F44D", new="\U0001F44E")
    wait_until(lambda: world.sql("SELECT vote FROM feedback") == [(-1,)])
    world.bot.react(alice, message, old="\U0001F44E")
    wait_until(lambda: world.sql("SELECT vote FROM feedback") == [])
    world.bot.react(alice, message, new="\U0001F525")
    world.bot.say(alice, "again")
    answer(world, alice, 2)
    assert world.sql("SELECT vote FROM feedback") == []


def test_regenerate(world, alice):
    world.bot.say(alice, "hello")
    world.bot.press(alice, answer(world, alice), "parley:regenerate")
    answer(world, alice, 2)
    assert world.bot.texts(alice) == ["echo: hello", "echo: hello"]


def test_stop(world, alice):
    world.model.on("endless", world.model.endless(pause=0.05))
    world.bot.say(alice, "endless")
    preview = wait_until(lambda: next((m for m in world.bot.messages(alice) if m.buttons == ["parley:stop"]), None))
    world.bot.press(alice, preview, "parley:stop")
    world.wait_settled(2)
    assert not any("parley:stop" in m.buttons for m in world.bot.messages(alice))


def test_a_button_of_an_older_time(world, alice):
    world.bot.say(alice, "hello")
    message = answer(world, alice)
    world.bot.push({"callback_query": {"id": "1", "from": {"id": 7, "is_bot": False, "first_name": "A"}, "chat_instance": "1", "data": "other",
                                       "message": world.bot._shown(alice, message)}})
    world.bot.push({"callback_query": {"id": "2", "from": {"id": 7, "is_bot": False, "first_name": "A"}, "data": "parley:up"}})
    world.bot.push({"message_reaction": {"chat": alice.chat}})
    world.bot.say(alice, "again")
    answer(world, alice, 2)
    assert world.one("SELECT count(*) FROM requests") == 2
