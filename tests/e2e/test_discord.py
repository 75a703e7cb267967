"""Discord from end to end: people on a server, in threads, in a forum, in private, with commands and buttons."""
import base64

import pytest

from fakes.discord import Fault
from harness.discord import Town
from harness.wait import stays, wait_until

GROWING = {"preview_after": "0s"}


@pytest.fixture
def town(world):
    one = Town(world)
    yield one
    for gateway in world.gateways:
        gateway.close()
    one.close()
    assert not one.bot.violations and not one.discord.violations


def custom_ids(message):
    return [b["custom_id"] for row in message.components for b in row["components"]]


# --- where people write ----------------------------------------------------------------------------------------

def test_a_mention_is_answered_as_a_reply(world, town):
    gateway = town.serve()
    question = town.ask("hello")
    town.expect_answers(["hello"])
    answer = town.channel.messages()[-1]
    assert answer.reference is question and not answer.pinged
    assert answer.nonce and custom_ids(answer) == ["regenerate", "up", "down"]
    assert gateway.get("/readyz").json["ready"] is True
    rows = world.sql("SELECT place_workspace, place_channel FROM conversations")
    assert rows == [(town.guild.id, town.channel.id)]
    assert world.sql("SELECT role, content FROM messages ORDER BY id")[-1] == ("assistant", "echo: hello")


def test_what_is_not_for_us_is_left_alone(world, town):
    town.serve()
    bob = town.discord.person("bob")
    other = town.discord.person("helper", is_bot=True)
    town.alice.say(town.channel, "hello bob", mention=bob)
    other.say(town.channel, "I am a bot", mention=town.bot)
    town.alice.say(town.channel, "nobody in particular")
    town.ask("now you")
    town.expect_answers(["now you"])
    assert world.one("SELECT count(*) FROM requests") == 1


def test_a_reply_to_us_needs_no_mention(town):
    town.serve()
    town.ask("one")
    town.expect_answers(["one"])
    town.alice.say(town.channel, "two", reply_to=town.channel.messages()[-1], ping=False)
    town.expect_answers(["one", "two"])


def test_in_private_everything_is_for_us(town):
    town.serve()
    dm = town.bot.dm(town.alice)
    town.ask_all(["one", "two"], dm)
    town.expect_answers(["one", "two"], dm)
    assert all(m.reference is None for m in dm.messages())


def test_a_thread_is_a_conversation_of_its_own(world, town):
    town.serve()
    thread = town.channel.thread("aside")
    town.ask("in the channel")
    town.ask("in the thread", thread)
    town.expect_answers(["in the channel"])
    town.expect_answers(["in the thread"], thread)
    assert world.one("SELECT count(*) FROM conversations") == 2


def test_a_configured_channel_and_its_threads_need_no_mention(town):
    town.serve({"channels": [town.channel.id]})
    thread = town.channel.thread("aside")
    elsewhere = town.guild.channel("elsewhere").thread("far away")
    town.alice.say(elsewhere, "not for us")
    town.alice.say(town.channel, "one")
    town.alice.say(thread, "two")
    town.expect_answers(["one"])
    town.expect_answers(["two"], thread)
    assert not town.answers(elsewhere)


def test_a_post_in_a_forum(town):
    forum = town.guild.forum("help")
    town.serve({"channels": [forum.id]})
    post = forum.post("A question", town.alice, "how do I?")
    town.expect_answers(["how do I?"], post)
    town.alice.say(post, "and then?")
    town.expect_answers(["how do I?", "and then?"], post)


def test_whom_it_serves(town):
    bob = town.discord.person("bob")
    town.serve({"allow": ["@alice"]})
    town.ask("me?", who=bob)
    town.ask("me")
    town.expect_answers(["me"])


def test_without_message_content_mentions_work(town):
    town.bot.message_content = False
    town.serve({"message_content": False})
    town.ask("hello")
    town.expect_answers(["hello"])


# --- what they write -------------------------------------------------------------------------------------------

def test_an_edit_of_what_still_waits(world, town):
    town.serve()
    world.model.on("slow", world.model.stream(["slow ", "answer"], pause=2.0))
    town.ask("slow")
    wait_until(lambda: world.model.asks)
    second = town.ask("secnod")
    wait_until(lambda: world.one("SELECT count(*) FROM requests") == 2)
    town.alice.edit(second, f"<@{town.bot.id}> second")
    wait_until(lambda: town.answers() == ["slow answer", "echo: second"])


def test_what_was_deleted_while_it_waited_is_not_answered(world, town):
    town.serve()
    world.model.on("slow", world.model.stream(["slow ", "answer"], pause=2.0))
    town.ask("slow")
    wait_until(lambda: world.model.asks)
    second, third = town.ask("second"), town.ask("third")
    wait_until(lambda: world.one("SELECT count(*) FROM requests") == 3)
    town.alice.delete(second)
    wait_until(lambda: town.answers()[-1:] == ["echo: third"])
    assert town.answers() == ["slow answer", "echo: third"]
    assert third.id


def test_pictures_are_seen_and_files_are_noted(world, town):
    gateway = town.gateway()
    gateway.settings["models"][0]["sees"] = True
    gateway.settings["chat"]["picture_hosts"] = [f"127.0.0.1:{town.discord.port}"]
    gateway.start()
    town.wait_live()
    picture = b"\x89PNG\r\n\x1a\n" + bytes(20)
    town.alice.say(town.channel, "what is this?", mention=town.bot, attachments=[
        {"filename": "cat.png", "content_type": "image/png", "body": picture},
        {"filename": "notes.pdf", "content_type": "application/pdf", "body": b"y"}])
    wait_until(lambda: world.model.asks)
    said = str(world.model.asks[0].body)
    assert base64.b64encode(picture).decode() in said and "notes.pdf" in said


def test_text_with_half_a_character(town):
    town.serve()
    town.bot.push("MESSAGE_CREATE", dict(town.ask("whole").dispatched(town.bot.sessions[0], "MESSAGE_CREATE"),
                                         id=town.discord.ids.new(), content=f"<@{town.bot.id}> half \ud83d"), town.guild)
    wait_until(lambda: any("half \ufffd" in t for t in town.answers()))


def test_a_message_of_four_thousand_characters(town):
    town.serve()
    text = " ".join(f"word{n}" for n in range(470)).ljust(4000, ".")
    town.ask(text)
    wait_until(lambda: len(town.answers()) == 3 or sum(map(len, town.answers())) >= len(text))
    assert " ".join(town.answers()).split() == f"echo: {text}".split()


def test_a_long_answer_comes_in_parts_and_fences_are_whole(world, town):
    town.serve()
    world.model.on("code", world.model.stream(["```python\n" + "x = 1  # a line\n" * 300 + "```\nthat is it"]))
    town.ask("code")
    world.wait_settled(1)
    parts = town.answers()
    assert len(parts) >= 3 and all(len(p) <= 2000 for p in parts)
    assert all(p.count("```") == 2 for p in parts[:-1])
    messages = [m for m in town.channel.messages() if m.author is town.bot]
    assert [bool(custom_ids(m)) for m in messages] == [False] * (len(parts) - 1) + [True]
    assert len({m.nonce for m in messages}) == len(parts)


def test_nobody_is_pinged_by_an_answer(world, town):
    town.serve()
    world.model.on("call", world.model.stream([f"@everyone @here <@{town.alice.id}> <@&{town.guild.id}> **x**"]))
    town.ask("call")
    world.wait_settled(1)
    assert [m.pinged for m in town.channel.messages() if m.author is town.bot] == [[]]
    assert "@everyone" not in town.answers()[0]


def test_an_answer_grows_in_place(world, town):
    town.serve(chat=GROWING)
    world.model.on("grow", world.model.stream([f"w{n} " for n in range(30)], pause=0.12))
    town.ask("grow")
    wait_until(lambda: town.answers() and "…" in town.answers()[0], what="a preview")
    preview = town.channel.messages()[-1]
    assert custom_ids(preview) == ["stop"]
    world.wait_settled(1)
    assert town.answers() == [" ".join(f"w{n}" for n in range(30))]
    assert len(preview.edits) >= 3 and custom_ids(preview) == ["regenerate", "up", "down"]
    assert town.channel.typing >= 1


# --- commands and buttons --------------------------------------------------------------------------------------

def test_commands_are_registered_once(town):
    gateway = town.serve()
    names = {c["name"] for c in town.bot.commands}
    assert {"chat", "new", "model", "status", "stop", "link", "help"} <= names
    assert len(town.bot.calls_of("PUT")) == 1
    gateway.stop()
    gateway.start()
    town.wait_live()
    assert len(town.bot.calls_of("PUT")) == 1, "only when they differ"


def test_commands_that_cannot_be_registered_stop_nothing(town):
    town.discord.inject("PUT", r"/applications/\d+/commands", Fault.error_of(403, 50001, "Missing Access"))
    gateway = town.serve()
    assert gateway.logged("commands cannot be registered")
    town.ask("hello")
    town.expect_answers(["hello"])


def test_what_people_see_beside_the_name(town):
    town.serve({"status": "idle", "activity": "Ask me"})
    presence = town.bot.identifies[0]["presence"]
    assert presence["status"] == "idle" and [a["state"] for a in presence["activities"]] == ["Ask me"]


def test_a_slash_command(world, town):
    town.serve()
    asked = town.alice.slash(town.channel, town.bot, "chat", text="hello")
    wait_until(lambda: asked.original() and asked.original().content == "echo: hello")
    assert [kind for kind, *_ in asked.acks] == [5]
    world.wait_settled(1)
    assert town.answers() == ["echo: hello"], "the placeholder became the answer"
    helped = town.alice.slash(town.bot.dm(town.alice), town.bot, "help")
    wait_until(lambda: helped.original() and "/new" in helped.original().content)


def test_a_long_answer_to_a_command(world, town):
    town.serve()
    world.model.on("long", world.model.stream(["word " * 900]))
    asked = town.alice.slash(town.channel, town.bot, "chat", text="long")
    world.wait_settled(1)
    assert len(town.answers()) == 3 and asked.original().content == town.answers()[0]


def test_a_command_whose_token_died(world, town):
    town.serve()
    world.model.on("slow", world.model.stream(["slow ", "answer"], pause=1.5))
    asked = town.alice.slash(town.channel, town.bot, "chat", text="slow")
    wait_until(lambda: asked.acks and world.model.asks)
    asked.expire()
    wait_until(lambda: "slow answer" in town.answers())
    world.wait_settled(1)
    assert town.answers() == ["slow answer"]


def test_the_buttons(world, town):
    town.serve()
    town.ask("hello")
    town.expect_answers(["hello"])
    first = town.channel.messages()[-1]
    town.alice.press(first, "up")
    wait_until(lambda: world.sql("SELECT vote FROM feedback") == [(1,)])
    again = town.alice.press(first, "regenerate")
    wait_until(lambda: town.answers() == ["echo: hello", "echo: hello"])
    assert [kind for kind, *_ in again.acks] == [6]
    assert len(world.model.asks) == 2


def test_stop_by_button(world, town):
    town.serve(chat=GROWING)
    world.model.on("endless", world.model.endless(0.1))
    town.ask("endless")
    wait_until(lambda: town.answers())
    town.alice.press(town.channel.messages()[-1], "stop")
    world.wait_settled(2, 15)
    wait_until(lambda: world.model.asks[0].cancelled)
    assert len(town.answers()) == 1, "the preview became the answer so far"


def test_a_thumb_by_reaction(world, town):
    town.serve()
    town.ask("hello")
    town.expect_answers(["hello"])
    answer = town.channel.messages()[-1]
    town.alice.react(answer, "👎")
    wait_until(lambda: world.one("SELECT count(*) FROM feedback WHERE vote = -1"))
    town.alice.unreact(answer, "👎")
    wait_until(lambda: world.one("SELECT count(*) FROM feedback") == 0)


# --- interactions by webhook -----------------------------------------------------------------------------------

def test_commands_by_webhook(world, town):
    gateway = town.gateway({"mode": "webhook", "public_key": town.bot.public_key}).start()
    wait_until(lambda: town.bot.commands)
    url = f"{gateway.url}/hooks/discord/guild"
    town.bot.set_interactions_url(url)
    assert not town.bot.sockets, "no connection is held"
    asked = town.alice.slash(town.channel, town.bot, "chat", text="hello")
    wait_until(lambda: asked.original() and asked.original().content == "echo: hello")
    assert [(kind, how) for kind, _, _, how in asked.acks] == [(5, "http")]
    town.alice.press(asked.original(), "regenerate")
    wait_until(lambda: town.answers() == ["echo: hello", "echo: hello"])
    assert gateway.post("/hooks/discord/guild", b"{}").status == 401
    assert gateway.post("/hooks/discord/guild", b'{"type":1}', {"X-Signature-Ed25519": "0" * 128,
                                                              "X-Signature-Timestamp": "1"}).status == 401


# --- what the operator is told ---------------------------------------------------------------------------------

def test_check(town):
    gateway = town.gateway()
    done = gateway.run("check")
    assert "guild" in done.stdout and "parley" in done.stdout, done.stdout
    town.bot.message_content = False
    done = gateway.run("check")
    assert done.returncode != 0 and "Message Content Intent" in done.stdout


def test_a_switch_that_is_off_is_named(town):
    town.bot.message_content = False
    gateway = town.gateway().spawn()
    gateway.wait_log("Message Content Intent")
    assert not town.bot.identifies, "no session is wasted"


def test_a_wrong_token_is_named(town):
    gateway = town.gateway()
    gateway.env["DISCORD_TOKEN"] = "wrong.token-of-nobody"
    gateway.spawn()
    gateway.wait_log("Reset Token")
    stays(lambda: len(town.discord.calls) <= 2, 2)
    assert "wrong.token" not in gateway.log()


def test_a_bot_cannot_be_talked_to_by_a_bot_for_ever(world, town):
    town.serve({"groups": "all"})
    other = town.discord.person("echo", is_bot=True)
    town.alice.say(town.channel, "start")
    town.expect_answers(["start"])
    for n in range(3):
        other.say(town.channel, f"no, you {n}", reply_to=town.channel.messages()[-1])
    stays(lambda: world.one("SELECT count(*) FROM requests") == 1, 1)
