"""The buttons under a question whether a tool may be called, on each platform: who may press them, once, and when they go."""

import pytest

from fakes.mcp import FakeMcp
from fakes.telegram import Fault
from harness.browser import Browser
from harness.discord import Town
from harness.slack import Workspace
from harness.wait import stays, wait_until
from harness.webclient import Person, new_thread
from test_commands import say
from test_web_page import is_connected, open_page, write  # noqa: F401 (open_page is a fixture)

QUESTION = "May I call this tool?"


@pytest.fixture
def server():
    one = FakeMcp().start()
    yield one
    one.stop()


@pytest.fixture
def guarded(world, server):
    """A tool that needs a yes, and a model that calls it when asked about "x"; twice, when asked about "twice"."""
    echo = lambda text: [("srv__echo", {"say": text})]
    world.model.on("x", world.model.calling(echo("one")))
    world.model.on("twice", world.model.calling(echo("one"), echo("two")))
    return {"name": "srv", "url": server.address, "timeout": "5s", "approve": ["echo"]}


def is_call_of(server, *texts):
    return [a["say"] for _, a in server.calls] == list(texts)


# --- Telegram ------------------------------------------------------------------------------------------------------

@pytest.fixture
def alice(world):
    return world.bot.person(7)


def question(world, chat):
    return next(m for m in reversed(world.bot.messages(chat)) if QUESTION in m.text)


def press(world, chat, message, which, sender=None):
    """Press it, and wait until all is said."""
    n = world.one("SELECT count(*) FROM requests")
    world.bot.press(chat, message, message.buttons[which], sender)
    world.wait_settled(n + 1)


@pytest.mark.parametrize("transport", ["webhook", "poll"])
def test_allow_in_telegram(world, server, guarded, alice, transport):
    world.serve(transport, tools=[guarded])
    assert QUESTION in say(world, alice, "x")
    asked = question(world, alice)
    assert len(asked.buttons) == 2 and all(len(data.encode()) <= 64 for data in asked.buttons)
    kept = list(asked.buttons)
    press(world, alice, asked, 0)
    assert is_call_of(server, "one") and world.bot.texts(alice)[-1].startswith("tools: ")
    wait_until(lambda: asked.buttons == [] and asked.text.endswith("(allowed)"))
    assert QUESTION in asked.text and len(world.model.asks) == 2
    # Somebody's app still showed them: nothing is called, nothing is said.
    asked.buttons = kept
    for which in (0, 1):
        press(world, alice, asked, which)
    assert is_call_of(server, "one") and len(world.bot.messages(alice)) == 2


def test_refuse_in_telegram(world, server, guarded, alice):
    world.serve(tools=[guarded])
    say(world, alice, "x")
    asked = question(world, alice)
    press(world, alice, asked, 1)
    assert world.bot.texts(alice)[-1] == "tools: The person refused this call." and not server.calls
    wait_until(lambda: asked.buttons == [] and asked.text.endswith("(refused)"))


def test_the_same_press_told_twice(world, server, guarded, alice):
    world.serve(tools=[guarded])
    say(world, alice, "x")
    asked = question(world, alice)
    update = {"update_id": 900000, "callback_query": {"id": "77", "from": {"id": 7, "is_bot": False, "first_name": "A"}, "chat_instance": "1",
                                                      "data": asked.buttons[0], "message": world.bot._shown(alice, asked)}}
    world.bot.push(update)
    wait_until(lambda: server.calls and world.settled())
    world.bot.push({**update, "update_id": 900001, "callback_query": {**update["callback_query"], "id": "78"}})
    world.bot.push(update)
    world.wait_settled(3)
    stays(lambda: is_call_of(server, "one") and world.one("SELECT count(*) FROM requests") == 3)
    assert len(world.bot.messages(alice)) == 2


def test_only_who_was_asked_in_a_group(world, server, guarded):
    world.serve(tools=[guarded])
    ann, bob = ({"id": i, "is_bot": False, "first_name": name} for i, name in ((7, "Ann"), (8, "Bob")))
    group = world.bot.group(-100, "A group")
    world.bot.say(group, f"@{world.bot.user['username']} x", ann)
    wait_until(lambda: world.bot.messages(group) and world.settled())
    asked = question(world, group)
    world.bot.press(group, asked, asked.buttons[0], bob)
    wait_until(lambda: [c.params.get("text") for c in world.bot.calls_of("answerCallbackQuery")] == ["This is not yours to decide."])
    # A client that claims another's button: the database knows who was asked.
    forged = asked.buttons[0].replace(":7", ":8")
    world.bot.push({"callback_query": {"id": "5", "from": bob, "chat_instance": "1", "data": forged, "message": world.bot._shown(group, asked)}})
    world.wait_settled(2)
    assert not server.calls and len(asked.buttons) == 2, "it is still to be decided"
    press(world, group, asked, 0, ann)
    assert is_call_of(server, "one")


def test_typing_takes_the_buttons_away(world, server, guarded, alice):
    world.serve(tools=[guarded])
    say(world, alice, "x")
    asked = question(world, alice)
    assert say(world, alice, "/tool yes").startswith("tools: ")
    wait_until(lambda: asked.buttons == [] and asked.text.endswith("(allowed)"))


def test_a_button_answers_its_own_question_only(world, server, guarded, alice):
    world.serve(tools=[guarded])
    say(world, alice, "twice")
    first = question(world, alice)
    kept = list(first.buttons)
    press(world, alice, first, 0)
    second = question(world, alice)
    assert is_call_of(server, "one") and second is not first and len(second.buttons) == 2
    first.buttons = kept
    press(world, alice, first, 0)
    assert is_call_of(server, "one") and world.bot.texts(alice)[-1] == "That question is no longer open."
    press(world, alice, second, 0)
    assert is_call_of(server, "one", "two") and world.bot.texts(alice)[-1].startswith("tools: ")


def test_too_late(world, server, guarded, alice):
    world.serve(tools=[guarded], mcp={"approval": "1s"})
    say(world, alice, "x")
    asked = question(world, alice)
    wait_until(lambda: world.one("SELECT expires_at < now() FROM tool_questions"))
    press(world, alice, asked, 0)
    assert "That took too long" in world.bot.texts(alice)[-1] and not server.calls
    wait_until(lambda: asked.buttons == [] and asked.text.endswith("(too late)"))


def test_an_old_question_after_a_new_conversation(world, server, guarded, alice):
    world.serve(tools=[guarded])
    say(world, alice, "x")
    asked = question(world, alice)
    say(world, alice, "/new")
    press(world, alice, asked, 0)
    assert world.bot.texts(alice)[-1] == "That question is no longer open." and not server.calls
    wait_until(lambda: asked.buttons == [])


def test_another_process_sends_the_question(world, server, guarded, alice):
    """One that Telegram wanted to have later."""
    world.bot.inject("sendMessage", Fault.too_many(retry_after=1))
    gateway = world.gateway(tools=[guarded], chat={"lease": "1s"}).start(PARLEY_ABORT_AT="delivery.record.done:1")
    world.hook(gateway)
    world.bot.say(alice, "x")
    gateway.wait_killed()
    gateway.start()
    wait_until(lambda: world.bot.messages(alice), 30)
    world.wait_settled(1)
    press(world, alice, question(world, alice), 0)
    assert is_call_of(server, "one")


def test_without_buttons(world, guarded, alice):
    world.serve(channel={"buttons": False}, tools=[guarded])
    assert "/tool yes" in say(world, alice, "x") and not question(world, alice).buttons
    assert say(world, alice, "/tool yes").startswith("tools: ")


# --- Discord -------------------------------------------------------------------------------------------------------

def test_in_discord(world, server, guarded):
    town = Town(world)
    town.serve(tools=[guarded])
    ids = lambda m: [b["custom_id"] for row in m.components for b in row["components"]]
    bob = town.discord.person("bob")
    town.ask("twice")
    wait_until(lambda: town.answers() and world.settled())
    asked = town.channel.messages()[-1]
    assert [b["label"] for row in asked.components for b in row["components"]] == ["Allow", "Refuse"]
    assert all(len(i) <= 100 for i in ids(asked))
    other = bob.press(asked, ids(asked)[0])
    wait_until(lambda: other.acks)
    assert other.acks[0][:1] == (4,) and other.acks[0][1] == {"content": "This is not yours to decide.", "flags": 64, "allowed_mentions": {"parse": []}}
    assert not server.calls
    kept = asked.components
    mine = town.alice.press(asked, ids(asked)[0])
    wait_until(lambda: len(town.answers()) == 2 and world.settled())
    assert [kind for kind, *_ in mine.acks] == [6] and is_call_of(server, "one")
    wait_until(lambda: asked.components == [] and "(allowed)" in asked.content)
    again = town.channel.messages()[-1]
    assert QUESTION in again.content and not again.ephemeral_to, "the next question is for all to see, and stays"
    asked.components = kept
    stale = town.alice.press(asked, ids(asked)[0])
    wait_until(lambda: any("no longer open" in m.content and m.ephemeral_to is town.alice for m in town.channel.messages()))
    assert stale.acks and is_call_of(server, "one")
    town.alice.press(again, ids(again)[1])
    wait_until(lambda: len(town.answers()) == 3 and world.settled())
    assert is_call_of(server, "one") and "refused this call" in town.answers()[-1]
    gateway, = world.gateways
    gateway.close()
    town.close()
    assert not town.bot.violations and not town.discord.violations


# --- Slack ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("how", ["mention", "command"])
def test_in_slack(world, server, guarded, how):
    """A command is answered outside of threads, and so is its question."""
    room = Workspace(world)
    room.serve(tools=[guarded])
    bob = room.team.person()
    if how == "mention":
        room.ask("x")
    else:
        room.slack.slash(room.channel, room.alice, "x")
    wait_until(lambda: room.answers() and world.settled())
    asked = room.channel.of(room.team.bot_user)[-1]
    assert asked.buttons == ["parley_allow", "parley_deny"]
    room.slack.press(room.channel, bob, asked, "parley_allow")
    wait_until(lambda: any(t["text"] == "This is not yours to decide." for t in room.slack.told))
    assert not server.calls
    kept = asked.blocks
    room.slack.press(room.channel, room.alice, asked, "parley_allow")
    wait_until(lambda: any("tools: " in text for text in room.answers()) and world.settled())
    assert is_call_of(server, "one")
    wait_until(lambda: asked.buttons == [] and "(allowed)" in asked.shown)
    asked.blocks = kept
    n = world.one("SELECT count(*) FROM requests")
    room.slack.press(room.channel, room.alice, asked, "parley_deny")
    world.wait_settled(n + 1)
    assert is_call_of(server, "one") and len(room.answers()) == 2
    gateway, = world.gateways
    gateway.close()
    room.close()
    assert not room.slack.violations()


# --- the web page --------------------------------------------------------------------------------------------------

def test_what_a_page_hears(world, server, guarded):
    gateway = world.gateway(None, tools=[guarded]).start()
    ann, thread = Person(gateway), new_thread()
    page = ann.connect(gateway)
    page.say(thread, "x")
    asked = page.wait("message", thread=thread, role="assistant")
    assert asked["asks"] is True
    world.wait_settled(1)
    page.ask("history", thread=thread, limit=50)
    assert page.wait("history", thread=thread)["asks"] == {"request": asked["request"], "message": asked["id"]}
    page.say(thread, "/tool no")
    page.wait("decided", thread=thread, request=asked["request"])
    world.wait_settled(2)
    page.ask("history", thread=thread, limit=50)
    wait_until(lambda: len(page.of("history", thread=thread)) == 2)
    assert "asks" not in page.of("history", thread=thread)[-1] and not server.calls


@pytest.fixture
def browser():
    one = Browser()
    yield one
    one.close()


def test_on_the_page(world, server, guarded, open_page):  # noqa: F811
    gateway = world.gateway(None, tools=[guarded]).start()
    page = open_page(gateway.url)
    wait_until(lambda: is_connected(page), what="the page is connected")
    write(page, "twice")
    wait_until(lambda: page.texts(".decision button") == ["Allow", "Refuse"], what="the buttons")
    page.reload()
    wait_until(lambda: page.texts(".decision button") == ["Allow", "Refuse"], what="the buttons after a reload")
    page.click(".decision button")
    wait_until(lambda: is_call_of(server, "one") and world.settled() and len(page.texts(".decision")) == 1)
    assert page.texts(".own .bubble")[-1] == "/tool yes", "which question it was is nothing to read"
    write(page, "/tool no")
    wait_until(lambda: page.texts(".decision") == [], what="the buttons are gone")
    wait_until(lambda: page.texts("article.answer .body")[-1].startswith("tools: "))
    assert is_call_of(server, "one")
