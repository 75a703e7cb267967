"""What a person can say with a slash."""
import json
import re

from harness.wait import wait_until


def say(world, chat, text):
    """Say it, and return what comes back."""
    n = len(world.bot.messages(chat))
    world.bot.say(chat, text)
    wait_until(lambda: len(world.bot.messages(chat)) > n and world.settled())
    return world.bot.texts(chat)[n]


def test_help_and_start_name_the_commands(world):
    world.serve()
    alice = world.bot.person(7)
    for text in ("/help", "/start", f"/HELP@{world.bot.user['username']}"):
        answer = say(world, alice, text)
        assert all(c in answer for c in ("/new", "/model", "/models", "/status", "/stop")), text
    assert not world.model.asks, "no model is asked for that"


def test_the_menu_is_told_to_telegram(world):
    world.serve()
    wait_until(lambda: {"help", "new", "model", "models", "status", "stop"} <= {c["command"] for c in world.bot.commands})


def test_new_begins_a_conversation_without_the_past(world):
    world.serve()
    alice = world.bot.person(7)
    say(world, alice, "remember this")
    assert "new conversation" in say(world, alice, "/new").lower()
    say(world, alice, "what was it?")
    assert world.model.asks[-1].history == [("user", "what was it?")]
    assert world.one("SELECT count(*) FROM conversations") == 2
    assert world.one("SELECT count(*) FROM conversations WHERE is_active") == 1


def test_what_waits_behind_new_is_answered_in_order_and_without_the_past(world):
    world.serve()
    alice = world.bot.person(7)
    texts = ["remember this", "/new", "what was it?", "and then?"]
    for text in texts:
        world.bot.say(alice, text)
    wait_until(lambda: len(world.bot.messages(alice)) == 4 and world.settled())
    replies = world.bot.texts(alice)
    assert [replies[0], *replies[2:]] == [f"echo: {text}" for text in (texts[0], *texts[2:])]
    assert world.model.asks[1].history == [("user", "what was it?")]
    assert ("user", "what was it?") in world.model.asks[2].history
    assert world.one("SELECT count(*) FROM conversations WHERE is_active") == 1


def test_model_chooses_who_answers(world):
    models = [{"name": name, "type": "openai", "base_url": world.model.base, "api_key": "env:MODEL_KEY", "model": f"real-{name}"}
              for name in ("small", "large")]
    world.serve(models=models)
    alice, bob = world.bot.person(7), world.bot.person(8)
    assert "small" in say(world, alice, "/model")
    listed = say(world, alice, "/models")
    assert "small" in listed and "large" in listed
    assert "large" in say(world, alice, "/model large")
    say(world, alice, "hello")
    assert world.model.asks[-1].body["model"] == "real-large"
    say(world, bob, "hello")
    assert world.model.asks[-1].body["model"] == "real-small", "it is this conversation's choice"
    assert "huge" in say(world, alice, "/model huge")
    say(world, alice, "/model default")
    say(world, alice, "hello again")
    assert world.model.asks[-1].body["model"] == "real-small"


def test_a_model_for_all_of_a_persons_conversations(world):
    models = [{"name": name, "type": "openai", "base_url": world.model.base, "api_key": "env:MODEL_KEY", "model": f"real-{name}"}
              for name in ("small", "large")]
    world.serve(models=models)
    alice, bob = world.bot.person(7), world.bot.person(8)
    assert "large answers you, in every conversation" in say(world, alice, "/model large always")
    say(world, alice, "/new")
    say(world, alice, "hello")
    assert world.model.asks[-1].body["model"] == "real-large"
    say(world, bob, "hello")
    assert world.model.asks[-1].body["model"] == "real-small"
    say(world, alice, "/model small")
    say(world, alice, "and here?")
    assert world.model.asks[-1].body["model"] == "real-small", "the conversation's own choice comes first"
    assert "I know no model huge" in say(world, alice, "/model huge always")
    say(world, alice, "/model default always")
    say(world, alice, "/new")
    say(world, alice, "hello again")
    assert world.model.asks[-1].body["model"] == "real-small"
    assert world.sql("SELECT preferred_model FROM users") == [(None,), (None,)]


def test_whose_choice_of_a_model_comes_first(world):
    """The conversation's, the person's, the channel's, the operator's, the first of all; and a model that is gone is passed over."""
    names = ("first", "operator", "channel", "person", "conversation")
    models = [{"name": name, "type": "openai", "base_url": world.model.base, "api_key": "env:MODEL_KEY", "model": name} for name in names]
    alice = world.bot.person(7)

    def answers():
        say(world, alice, "hello")
        return world.model.asks[-1].body["model"]

    def begin(channel, operator):
        if world.gateways:
            world.gateways[-1].stop()
        gateway = world.gateway(models=models, chat={"model": operator}, channel={"model": channel}).start()
        world.hook(gateway)
    begin("", "")
    assert answers() == "first"
    begin("", "operator")
    assert answers() == "operator"
    begin("channel", "operator")
    assert answers() == "channel"
    for choice, undo, name in (("/model person always", "", "person"), ("/model conversation", "", "conversation"),
                               ("/model default", "", "person"), ("/model default always", "", "channel")):
        say(world, alice, choice)
        assert answers() == name, choice
    say(world, alice, "/model person always")
    models[2:4] = []
    begin("", "operator")
    assert answers() == "operator", "there is no such model any more"


def test_no_history_is_no_history(world):
    world.serve(chat={"history_messages": 0})
    alice = world.bot.person(7)
    for text in ("one", "two", "three"):
        say(world, alice, text)
        assert world.model.asks[-1].history == [("user", text)]


def test_status_says_how_things_are(world):
    world.serve()
    alice = world.bot.person(7)
    say(world, alice, "hello")
    answer = say(world, alice, "/status")
    assert "test" in answer and "2" in answer


def test_stop_ends_the_running_answer(world):
    gateway = world.serve(chat={"preview_after": "0s"})
    alice = world.bot.person(7)
    world.model.on("endless", world.model.endless())
    world.bot.say(alice, "endless")
    wait_until(lambda: world.bot.texts(alice) and "more" in world.bot.texts(alice)[0])
    world.bot.say(alice, "/stop")
    wait_until(lambda: world.settled() and len(world.bot.messages(alice)) >= 2)
    assert "stop" in world.bot.texts(alice)[1].lower()
    wait_until(lambda: world.model.asks[0].cancelled, what="the model is told to stop generating")
    assert world.one("SELECT count(*) FROM requests WHERE status = 'cancelled'") == 1
    assert gateway.alive()
    assert say(world, alice, "go on") == "echo: go on"


def test_stop_with_nothing_to_stop(world):
    world.serve()
    alice = world.bot.person(7)
    assert "nothing to stop" in say(world, alice, "/stop").lower()


def test_an_unknown_command_gets_a_hint_and_a_path_is_no_command(world):
    world.serve()
    alice = world.bot.person(7)
    assert "/help" in say(world, alice, "/frobnicate")
    assert say(world, alice, "/etc/hosts is a file") == "echo: /etc/hosts is a file"


def test_merge_makes_one_question_of_what_arrives_together(world):
    world.serve(chat={"queue": "merge", "merge": "700ms"})
    alice = world.bot.person(7)
    for text in ("one", "two", "three"):
        world.bot.say(alice, text)
    world.wait_settled(3)
    assert world.bot.texts(alice) == ["echo: one\n\ntwo\n\nthree"]
    assert world.one("SELECT count(*) FROM requests WHERE status = 'merged'") == 2


def test_interrupt_answers_the_later_message_with_the_earlier(world):
    world.serve(chat={"queue": "interrupt"})
    alice = world.bot.person(7)
    world.model.on("slow", world.model.endless(pause=0.1), times=1)
    world.bot.say(alice, "slow")
    wait_until(lambda: world.model.asks)
    world.bot.say(alice, "and this")
    wait_until(lambda: world.settled() and world.bot.texts(alice) and "and this" in world.bot.texts(alice)[-1])
    assert world.model.asks[-1].last == "slow\n\nand this"
    wait_until(lambda: world.model.asks[0].cancelled, what="the model is told to stop generating")


def test_regenerate_asks_the_last_question_anew(world):
    world.serve()
    alice = world.bot.person(7)
    say(world, alice, "first")
    say(world, alice, "second")
    world.model.on("second", world.model.stream(["another ", "answer"]))
    assert say(world, alice, "/regenerate") == "another answer"
    assert world.model.asks[-1].history == [("user", "first"), ("assistant", "echo: first"), ("user", "second")]
    say(world, alice, "third")
    assert world.model.asks[-1].history[-3:] == [("user", "second"), ("assistant", "another answer"), ("user", "third")]
    assert "no question yet" in say(world, world.bot.person(8), "/regenerate")


def test_link_makes_two_people_one(world):
    world.serve()
    alice, other, group = world.bot.person(7), world.bot.person(8), world.bot.group(-40)
    code = re.search(r"/link (\S{4}-\S{4})", say(world, alice, "/link")).group(1)
    assert code not in json.dumps(world.sql("SELECT code_hash FROM link_codes"))
    world.bot.say(group, f"@{world.bot.user['username']} /link", {"id": 7, "is_bot": False, "first_name": "Alice"})
    wait_until(lambda: any("private chat" in t for t in world.bot.texts(group)))
    assert "do not know this code" in say(world, other, "/link 0000-0000")
    assert "same person" in say(world, other, f"/link {code.lower()}")
    assert world.one("SELECT count(DISTINCT user_id) FROM identities") == 1
    assert "do not know this code" in say(world, other, f"/link {code}")
