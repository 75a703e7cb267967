"""The official client `grammy` drives the fake Telegram: what it cannot work with is a misreading of ours."""
import pytest

from fakes.telegram import FakeTelegram, Fault
from harness.peer import Peer
from harness.wait import wait_until


class Grammy(Peer):
    def __init__(self, telegram, bot):
        self.updates, self.events = [], []
        super().__init__("grammy_peer.mjs", telegram.url, bot.token)

    def heard(self, message):
        if "update" in message:
            self.updates.append(message["update"])
        else:
            self.events.append(message)

    def do(self, what, **more):
        answer = super().do(what, **more)
        assert "crash" not in answer, answer
        return answer

    def call(self, method, **params):
        return self.do("call", method=method, params=params)

    def texts(self):
        return [u["message"]["text"] for u in self.updates if "message" in u]


@pytest.fixture
def telegram():
    server = FakeTelegram().start()
    yield server
    server.stop()


@pytest.fixture
def bot(telegram):
    return telegram.add_bot()


@pytest.fixture
def grammy(telegram, bot):
    client = Grammy(telegram, bot)
    yield client
    client.end()


def test_grammy_polls_each_update_once(bot, grammy):
    alice = bot.person(7)
    bot.say(alice, "before the start")
    grammy.do("poll")
    wait_until(lambda: grammy.texts() == ["before the start"])
    for n in range(20):
        bot.say(alice, f"message {n}")
    wait_until(lambda: len(grammy.updates) == 21)
    assert grammy.texts()[1:] == [f"message {n}" for n in range(20)]
    wait_until(lambda: bot.pending_count() == 0, what="the next poll confirms")


def test_grammy_replies_over_polling(bot, grammy):
    alice = bot.person(7)
    grammy.do("poll")
    bot.say(alice, "please reply")
    wait_until(lambda: bot.texts(alice) == ["as you like"])


def test_grammy_is_put_off_by_a_second_poller(telegram, bot, grammy):
    second = Grammy(telegram, bot)
    try:
        grammy.do("poll")
        wait_until(lambda: bot.calls_of("getUpdates"))
        second.do("poll")
        wait_until(lambda: {"stopped": 409} in grammy.events, what="the first poller is told of the conflict")
    finally:
        second.end()


def test_grammy_is_refused_a_poll_beside_a_webhook(bot, grammy):
    assert grammy.call("setWebhook", url="http://127.0.0.1:9/none")["result"] is True
    answer = grammy.call("getUpdates", timeout=0)
    assert answer["error_code"] == 409 and "webhook is active" in answer["description"]
    assert grammy.call("getWebhookInfo")["result"]["url"] == "http://127.0.0.1:9/none"
    assert grammy.call("deleteWebhook")["result"] is True
    assert grammy.call("getUpdates", timeout=0)["result"] == []


def test_grammy_takes_a_webhook(bot, grammy):
    alice, bob = bot.person(7), bot.person(8, "Bob")
    port = grammy.do("listen", secret="a-secret_1")["result"]
    bot.say(alice, "queued before")
    grammy.call("setWebhook", url=f"http://127.0.0.1:{port}/", secret_token="a-secret_1")
    for n in range(5):
        bot.say(alice, f"alice {n}")
        bot.say(bob, f"bob {n}")
    wait_until(lambda: len(grammy.updates) == 11)
    assert [t for t in grammy.texts() if t.startswith("alice")] == [f"alice {n}" for n in range(5)]
    assert bot.pending_count() == 0
    bot.say(alice, "please reply")
    wait_until(lambda: bot.texts(alice) == ["as you like"])


def test_grammy_refuses_a_webhook_with_a_wrong_secret(bot, grammy):
    alice = bot.person(7)
    port = grammy.do("listen", secret="right")["result"]
    grammy.call("setWebhook", url=f"http://127.0.0.1:{port}/", secret_token="wrong")
    bot.say(alice, "hello")
    wait_until(lambda: len(bot.deliveries) >= 3, what="the update is tried again")
    assert {d.status for d in bot.deliveries} == {401} and not grammy.updates
    assert bot.pending_count() == 1


def test_grammy_sends_and_edits(bot, grammy):
    alice = bot.person(7)
    sent = grammy.call("sendMessage", chat_id=7, text="<b>bold</b> &amp; <pre><code class=\"language-c\">int</code></pre>",
                       parse_mode="HTML")["result"]
    assert sent["text"] == "bold & int" and sent["from"]["is_bot"]
    assert [(e["type"], e["offset"], e["length"]) for e in sent["entities"]] == [("bold", 0, 4), ("pre", 7, 3)]
    assert sent["entities"][1]["language"] == "c"
    edited = grammy.call("editMessageText", chat_id=7, message_id=sent["message_id"], text="plain")["result"]
    assert edited["text"] == "plain" and edited["edit_date"]
    same = grammy.call("editMessageText", chat_id=7, message_id=sent["message_id"], text="plain ")
    assert same["error_code"] == 400 and "message is not modified" in same["description"]
    gone = grammy.call("editMessageText", chat_id=7, message_id=999, text="x")
    assert gone["description"] == "Bad Request: message to edit not found"
    assert grammy.call("sendChatAction", chat_id=7, action="typing")["result"] is True
    assert grammy.call("sendMessageDraft", chat_id=7, draft_id=1, text="so far")["result"] is True
    commands = [{"command": "help", "description": "What I can do"}]
    assert grammy.call("setMyCommands", commands=commands)["result"] is True
    assert bot.commands == commands and bot.texts(alice) == ["plain"]
    assert bot.messages(alice)[0].history == ["bold & int", "plain"]


@pytest.mark.parametrize("text, complaint", [
    ("<br>", 'Unsupported start tag "br" at byte offset 0'),
    ("<b><i>x</b></i>", 'Unmatched end tag at byte offset 7, expected "</i>", found "</b>"'),
    ("<b>never closed", "Can't find end tag"),
    ("a < b", 'Unsupported start tag "" at byte offset 2'),
])
def test_grammy_is_refused_bad_html(bot, grammy, text, complaint):
    bot.person(7)
    answer = grammy.call("sendMessage", chat_id=7, text=text, parse_mode="HTML")
    assert answer["error_code"] == 400
    assert answer["description"].startswith("Bad Request: can't parse entities: ") and complaint in answer["description"]


@pytest.mark.parametrize("text, complaint", [
    ("x" * 4097, "message is too long"), ("x" * 32769, "text is too long"), (" \n ", "message text is empty"),
])
def test_grammy_is_refused_texts_out_of_bounds(bot, grammy, text, complaint):
    bot.person(7)
    assert grammy.call("sendMessage", chat_id=7, text=text)["description"] == f"Bad Request: {complaint}"
    assert grammy.call("sendMessage", chat_id=7, text="x" * 4096)["result"]


def test_grammy_reads_errors_and_their_parameters(bot, grammy):
    alice = bot.person(7)
    group = bot.group(-40, kind="group")
    assert grammy.call("sendMessage", chat_id=99, text="x")["description"] == "Bad Request: chat not found"
    bot.inject("sendMessage", Fault.too_many(3))
    limited = grammy.call("sendMessage", chat_id=7, text="x")
    assert (limited["error_code"], limited["parameters"]) == (429, {"retry_after": 3})
    bot.block(alice)
    assert grammy.call("sendMessage", chat_id=7, text="x")["error_code"] == 403
    bot.migrate(group, -1001234)
    moved = grammy.call("sendMessage", chat_id=-40, text="x")
    assert (moved["error_code"], moved["parameters"]) == (400, {"migrate_to_chat_id": -1001234})
    assert grammy.call("sendMessage", chat_id=-1001234, text="x")["result"]["message_id"] == 1


def test_grammy_sees_a_lost_connection(bot, grammy):
    alice = bot.person(7)
    bot.inject("sendMessage", Fault("lost_after"))
    assert "network" in grammy.call("sendMessage", chat_id=7, text="sent all the same")
    assert bot.texts(alice) == ["sent all the same"]
    bot.inject("sendMessage", Fault("html"))
    assert "network" in grammy.call("sendMessage", chat_id=7, text="x")


def test_grammy_knows_a_wrong_token(telegram, bot):
    other = Grammy(telegram, type("Nobody", (), {"token": "42:nobody"}))
    try:
        assert other.call("getMe")["error_code"] == 401
    finally:
        other.end()
