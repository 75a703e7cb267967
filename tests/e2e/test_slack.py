"""Slack from end to end: people in channels, threads and in private, commands and buttons, over both transports."""
import pytest

from harness.slack import Workspace
from harness.wait import stays, wait_until


@pytest.fixture(params=["socket", "events"])
def place(world, request):
    one = Workspace(world, request.param)
    yield one
    for gateway in world.gateways:
        gateway.close()
    one.close()
    assert not one.slack.violations()


@pytest.fixture
def room(world):
    """By Socket Mode only: what does not depend on the transport."""
    one = Workspace(world)
    yield one
    for gateway in world.gateways:
        gateway.close()
    one.close()
    assert not one.slack.violations()


# --- where people write ----------------------------------------------------------------------------------------

def test_a_mention_is_answered_in_a_thread(world, place):
    gateway = place.serve()
    question = place.ask("hello")
    place.expect(["hello"])
    answer = place.channel.of(place.team.bot_user)[-1]
    assert answer.thread_ts == question.ts
    assert answer.buttons == ["parley_regenerate", "parley_up", "parley_down"]
    assert gateway.get("/readyz").json["ready"] is True
    rows = world.sql("SELECT place_workspace, place_channel, place_thread FROM conversations")
    assert rows == [(place.team.id, place.channel.id, question.ts)]
    assert world.one("SELECT count(*) FROM requests") == 1, "message and app_mention are one"


def test_a_private_chat(place):
    place.serve()
    place.ask("one", place.dm)
    place.expect(["one"], place.dm)
    place.ask("two", place.dm)
    place.expect(["one", "two"], place.dm)
    assert all(m.thread_ts is None for m in place.dm.of(place.team.bot_user))


def test_a_thread_is_a_conversation(world, place):
    place.serve()
    first = place.ask("first")
    place.expect(["first"], thread=first)
    place.ask("again", thread=first)
    place.expect(["first", "again"], thread=first)
    second = place.ask("second")
    place.expect(["second"], thread=second)
    assert world.one("SELECT count(*) FROM conversations") == 2
    assert [h for h in world.model.asks[-2].history] == [("user", "first"), ("assistant", "echo: first"), ("user", "again")]


@pytest.mark.parametrize("kind", ["group", "mpim"])
def test_private_channels_and_groups(room, kind):
    where = room.team.channel(kind)
    room.serve()
    room.ask("hello", where)
    room.expect(["hello"], where)


def test_what_is_not_for_us_is_left_alone(world, room):
    room.serve()
    room.slack.say(room.channel, room.alice, "nobody in particular")
    room.slack.bot_says(room.channel, f"<@{room.team.bot_user}> I am a bot")
    room.slack.say(room.channel, room.alice, "joined", subtype="channel_join")
    room.ask("now you")
    room.expect(["now you"])
    assert world.one("SELECT count(*) FROM requests") == 1


def test_whom_it_serves(room):
    bob = room.team.person()
    room.serve({"allow": [room.alice]})
    room.ask("me?", who=bob)
    room.ask("me")
    room.expect(["me"])


# --- what they write -------------------------------------------------------------------------------------------

def test_an_edit_of_what_still_waits(world, place):
    place.serve()
    world.model.on("slow", world.model.stream(["slow ", "answer"], pause=2.0))
    place.ask("slow", place.dm)
    wait_until(lambda: world.model.asks)
    second = place.ask("wrong", place.dm)
    wait_until(lambda: world.one("SELECT count(*) FROM requests") == 2)
    place.slack.edit(place.dm, second, "right")
    wait_until(lambda: world.sql("SELECT query FROM requests ORDER BY id")[-1] == ("right",))
    wait_until(lambda: place.answers(place.dm) == ["slow answer", "echo: right"], what="both answers")


def test_a_deletion_of_what_still_waits(world, place):
    place.serve()
    world.model.on("slow", world.model.stream(["slow ", "answer"], pause=2.0))
    place.ask("slow", place.dm)
    wait_until(lambda: world.model.asks)
    second = place.ask("never mind", place.dm)
    wait_until(lambda: world.one("SELECT count(*) FROM requests") == 2)
    place.slack.delete(place.dm, second)
    wait_until(lambda: world.sql("SELECT status FROM requests ORDER BY id")[-1] == ("cancelled",))
    world.wait_settled()
    assert place.answers(place.dm) == ["slow answer"]


def test_files_are_noted(world, room):
    room.serve()
    room.slack.say(room.dm, room.alice, "look", subtype="file_share",
                   files=[{"id": "F1", "name": "cat.png", "mimetype": "image/png", "size": 10, "url_private": "https://files.slack.com/x"}])
    wait_until(lambda: room.answers(room.dm))
    assert world.model.asks[-1].last == "look\n[attached: photo cat.png]"


def test_markup_of_people_is_undone(world, room):
    room.serve()
    room.slack.say(room.dm, room.alice, "1 &lt; 2 &amp; <https://a.example|A> <!here>")
    wait_until(lambda: room.answers(room.dm))
    assert world.model.asks[-1].last == "1 < 2 & https://a.example (A) @here"


# --- what we write ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("text", ["markdown", "mrkdwn"])
def test_nothing_a_model_writes_wakes_anybody(world, room, text):
    room.serve({"text": text})
    world.model.on("ping", world.model.plain("<!channel> <!here|x> <@U123> <!subteam^S1> `<!everyone>`\n```\n<!channel>\n```\n"
                                             "[https://good.example](https://evil.example) <https://evil.example|https://good.example>"))
    room.ask("ping", room.dm)
    room.ask("ping")
    wait_until(lambda: room.answers(room.dm) and room.answers())
    world.wait_settled()
    for where in (room.dm, room.channel):
        message = where.of(room.team.bot_user)[-1]
        assert message.pings() == []
        assert "evil.example" in message.shown and "](https://evil" not in message.shown


def test_a_long_answer_comes_in_parts(world, room):
    room.serve()
    text = "\n\n".join(f"Paragraph {i}: " + "word " * 60 for i in range(30))
    world.model.on("long", world.model.plain(text))
    room.ask("long", room.dm)
    world.wait_settled(1)
    messages = room.dm.of(room.team.bot_user)
    assert len(messages) > 2 and all(len(m.shown) <= 3000 for m in messages)
    assert "".join(m.shown for m in messages).split() == text.split()
    assert [bool(m.buttons) for m in messages] == [False] * (len(messages) - 1) + [True]


def test_mrkdwn_instead_of_markdown(world, room):
    room.serve({"text": "mrkdwn"})
    world.model.on("styles", world.model.plain("# Title\n\n**bold** and *it*, ~~gone~~, `code`\n\n- a\n  - b\n\n|x|y|\n|-|-|\n|1|2|\n\n[label](https://a.example)"))
    room.ask("styles", room.dm)
    world.wait_settled(1)
    shown = room.dm.of(room.team.bot_user)[-1].shown
    assert shown == ("*Title*\n\n*bold* and _it_, ~gone~, `code`\n\n• a\n  ◦ b\n\n```\nx | y\n--+--\n1 | 2\n```\n\n<https://a.example|label>")


def test_an_answer_grows_as_a_stream(world, room):
    room.serve(chat={"preview_after": "0s"})
    world.model.on("story", world.model.stream([f"word{i} " for i in range(20)], pause=0.25))
    question = room.ask("story")
    stream = wait_until(lambda: next(iter(room.channel.of(room.team.bot_user)), None))
    assert stream.streaming and stream.thread_ts == question.ts
    world.wait_settled(1)
    assert len(room.channel.of(room.team.bot_user)) == 1
    assert stream.text.strip() == "".join(f"word{i} " for i in range(20)).strip() and not stream.streaming
    assert stream.buttons == ["parley_regenerate", "parley_up", "parley_down"]
    assert len(room.slack.called("chat.appendStream")) >= 2 and stream.edits == 0


def test_an_answer_grows_by_edits_where_there_are_no_streams(world, room):
    room.slack.no_streams.add("channel")
    room.serve(chat={"preview_after": "0s"})
    world.model.on("story", world.model.stream([f"word{i} " for i in range(20)], pause=0.25))
    room.ask("story")
    preview = wait_until(lambda: next(iter(room.channel.of(room.team.bot_user)), None))
    wait_until(lambda: preview.edits >= 1)
    assert preview.buttons == ["parley_stop"] or not world.one("SELECT count(*) FROM requests WHERE status = 'running'")
    world.wait_settled(1)
    assert len(room.channel.of(room.team.bot_user)) == 1
    assert preview.shown.strip() == "".join(f"word{i} " for i in range(20)).strip()
    room.ask("story")
    world.wait_settled(2)
    assert len(room.slack.called("chat.startStream")) == 1, "not asked for again"


def test_signs_of_life(world, room):
    room.serve()
    world.model.on("slow", world.model.stream(["slow ", "answer"], pause=3.0))
    question = room.ask("slow")
    wait_until(lambda: question.reactions.get("eyes") == {room.team.bot_user}, what="the reaction")
    wait_until(lambda: (question.ts, "is thinking ...") in room.channel.statuses, what="the status")
    world.wait_settled(1)
    wait_until(lambda: question.reactions.get("eyes") == set(), what="the reaction is gone")


# --- commands, buttons, votes ----------------------------------------------------------------------------------

def test_a_command_is_answered_to_its_giver_alone(world, place):
    place.serve()
    place.slack.slash(place.dm, place.alice, "help")
    wait_until(lambda: any("/new" in t.get("text", "") for t in place.slack.told), what="the help")
    assert place.slack.told[-1]["response_type"] == "ephemeral"
    assert not place.answers(place.dm)


def test_a_question_by_command(place):
    place.serve()
    questions = ["why is the sky blue?", "continue the story", "new ideas, please", "model a small town for me", "budget tips?"]
    for question in questions:
        place.slack.slash(place.channel, place.alice, question)
    place.expect(questions)


def test_a_question_by_command_where_we_are_no_member(world, room):
    elsewhere = room.team.channel(member=False)
    room.serve()
    room.slack.slash(elsewhere, room.alice, "hello?")
    wait_until(lambda: room.answers(elsewhere) == ["echo: hello?"], what="the answer by response_url")
    world.wait_settled(1)


def test_an_empty_command_is_told_so(world, place):
    place.serve()
    place.slack.slash(place.channel, place.alice, "")
    if place.transport == "events":
        wait_until(lambda: place.slack.told)
        assert "Write something" in place.slack.told[-1]["text"]
    else:
        wait_until(lambda: any(a and "Write something" in a["text"] for a in place.slack.acks.values()))
    assert world.one("SELECT count(*) FROM requests") == 0


def test_buttons(world, place):
    place.serve()
    place.ask("hello", place.dm)
    place.expect(["hello"], place.dm)
    answer = place.dm.of(place.team.bot_user)[-1]
    place.slack.press(place.dm, place.alice, answer, "parley_up")
    wait_until(lambda: world.sql("SELECT vote FROM feedback") == [(1,)])
    wait_until(lambda: any("Noted" in t["text"] for t in place.slack.told))
    place.slack.press(place.dm, place.alice, answer, "parley_down")
    wait_until(lambda: world.sql("SELECT vote FROM feedback") == [(-1,)])
    place.slack.press(place.dm, place.alice, answer, "parley_regenerate")
    wait_until(lambda: place.answers(place.dm) == ["echo: hello", "echo: hello"], what="the answer anew")


def test_the_stop_button(world, room):
    room.slack.no_streams.update(("channel", "im"))
    room.serve(chat={"preview_after": "0s"})
    world.model.on("endless", world.model.endless(pause=0.05))
    room.ask("endless", room.dm)
    preview = wait_until(lambda: next(iter(room.dm.of(room.team.bot_user)), None))
    room.slack.press(room.dm, room.alice, preview, "parley_stop")
    world.wait_settled(2)
    assert "(stopped)" in room.answers(room.dm)[0] and len(room.answers(room.dm)) == 1
    assert any("Stopp" in t["text"] for t in room.slack.told)


def test_reactions_are_votes(world, place):
    place.serve()
    place.ask("hello")
    place.expect(["hello"])
    answer = place.channel.of(place.team.bot_user)[-1]
    place.slack.react(place.channel, place.alice, answer, "+1::skin-tone-2")
    wait_until(lambda: world.sql("SELECT vote FROM feedback") == [(1,)])
    place.slack.react(place.channel, place.alice, answer, "thumbsup", back=True)
    wait_until(lambda: world.sql("SELECT vote FROM feedback") == [])


# --- many workspaces -------------------------------------------------------------------------------------------

def many(room):
    return {"bot_token": None, "client_id": room.slack.client_id, "client_secret": "env:SLACK_CLIENT_SECRET", "seal_secret": "env:SLACK_SEAL"}


def install(room, gateway, team, cookie=None, code=None):
    go = gateway.get("/hooks/slack/team/install")
    state = go.headers["Location"].split("state=")[1]
    mine = go.headers["Set-Cookie"].split(";")[0]
    room.slack.codes["code-1"] = team
    return gateway.get(f"/hooks/slack/team/oauth?code={code or 'code-1'}&state={state}", headers={"Cookie": cookie or mine})


def test_workspaces_install_the_app(world, room):
    other = room.slack.add_team()
    where = other.channel()
    gateway = room.serve(many(room))
    assert install(room, gateway, room.team).status == 200
    assert install(room, gateway, other).status == 200
    room.ask("from one")
    room.expect(["from one"])
    room.slack.say(where, other.person(), f"<@{other.bot_user}> from two")
    wait_until(lambda: [m.shown for m in where.of(other.bot_user)] == ["echo: from two"])
    tokens = [t for (t,) in world.sql("SELECT token FROM installations")]
    assert len(tokens) == 2 and not any(room.team.token in t or other.token in t for t in tokens)
    again = room.gateway(many(room)).start()  # another process finds them in the database
    gateway.close()
    room.ready(again)
    room.ask("and again")
    wait_until(lambda: "echo: and again" in room.answers())


def test_an_installation_that_was_not_begun_here(world, room):
    gateway = room.serve(many(room))
    assert install(room, gateway, room.team, cookie="parley_slack_install=0123456789abcdef0123456789abcdef").status == 403
    assert gateway.get("/hooks/slack/team/oauth?code=code-1&state=x").status == 403
    assert gateway.get("/hooks/slack/team/oauth?error=access_denied").status == 400
    assert install(room, gateway, room.team, code="wrong").status == 400
    assert world.one("SELECT count(*) FROM installations") == 0


def test_a_workspace_that_leaves(world, room):
    gateway = room.serve(many(room))
    assert install(room, gateway, room.team).status == 200
    room.ask("hello")
    room.expect(["hello"])
    room.slack.call(lambda: room.slack._event(room.team, {"type": "app_uninstalled"}))
    wait_until(lambda: world.one("SELECT count(*) FROM installations") == 0)
    room.ask("still there?")
    stays(lambda: len(room.answers()) == 1)


# --- getting to know each other --------------------------------------------------------------------------------

def test_check_says_who_we_are(room):
    done = room.gateway().run("check")
    assert "@parley in Team, Socket Mode is on" in done.stdout + done.stderr


@pytest.mark.parametrize("change, text", [
    ({"bot_token": "env:SLACK_APP_TOKEN"}, "this is an app-level token"),
    ({"app_token": None}, "app_token: required with transport"),
    ({"transport": "events"}, "signing_secret: required with transport"),
    ({"bot_token": None}, "bot_token: required"),
    ({"client_id": "1"}, "not together with client_id"),
    ({"bot_token": None, "client_id": "1"}, "client_secret: required with client_id"),
])
def test_configuration_that_cannot_work(room, change, text):
    done = room.gateway(change).run("serve")
    assert done.returncode != 0 and text in done.stderr
