"""What must not hurt: each case leaves a line in the log, others unharmed, and the process alive."""
import json
import re
import socket

import pytest

from harness.wait import wait_until
from harness.world import TELEGRAM_SECRET

HOOK = "/hooks/telegram/support"
SECRET = {"X-Telegram-Bot-Api-Secret-Token": TELEGRAM_SECRET, "Content-Type": "application/json"}


@pytest.fixture
def gateway(world):
    return world.serve()


@pytest.fixture
def bob_is_unharmed(world, gateway):
    """Whatever a test does, somebody else is answered before and after it."""
    bob = world.bot.person(8, "Bob")
    world.bot.say(bob, "before")
    world.expect_answers(bob, ["before"])
    yield
    world.bot.say(bob, "after")
    wait_until(lambda: world.bot.texts(bob) == ["echo: before", "echo: after"], 30, "somebody else is still answered")
    assert gateway.alive()


pytestmark = pytest.mark.usefixtures("bob_is_unharmed")


def update(text="hi", update_id=1, **message):
    return {"update_id": update_id, "message": {
        "message_id": 1, "date": 1700000000, "chat": {"id": 7, "type": "private", "first_name": "A"},
        "from": {"id": 7, "is_bot": False, "first_name": "A"}, "text": text, **message}}


def n_requests(world):
    return world.one("SELECT count(*) FROM requests")


@pytest.mark.parametrize("secret", [None, "", "wrong", TELEGRAM_SECRET + "x", TELEGRAM_SECRET[:-1]])
def test_a_wrong_or_missing_secret(world, gateway, secret):
    headers = {} if secret is None else {"X-Telegram-Bot-Api-Secret-Token": secret}
    before = n_requests(world)
    assert gateway.post(HOOK, update(), headers).status == 401
    assert n_requests(world) == before
    gateway.wait_log(r"(?i)warn.*(secret|unauthori)")


@pytest.mark.parametrize("body", [
    b"", b"{", b"not json", b"[]", b"null", b"42", b'"text"', b"{}", b'{"update_id": 1}', b'{"update_id": "x", "message": {}}',
    b'{"update_id": 5, "message": null}', b'{"update_id": 5, "message": []}', b'{"update_id": 5, "message": {"text": "x"}}',
    b'{"update_id": 5, "unknown_kind": {"a": 1}}', b"{" + b'"a":[' * 200 + b"]" * 200 + b"}",
    b'{"update_id": 99999999999999999999999, "message": {}}', b'{"update_id": 1e400}', b'{"update_id": -1}',
    json.dumps(update(chat={"id": 10 ** 30, "type": "private"})).encode(),
    json.dumps(update(chat={"id": "seven", "type": "private"})).encode(),
    json.dumps(update(message_id=-(2 ** 63))).encode(),
    json.dumps(update(text={"a": 1})).encode(), json.dumps(update(entities="x")).encode(),
    json.dumps(update(entities=[{"type": "mention", "offset": -5, "length": 10 ** 9}])).encode(),
    b'{"update_id": 7, "message": {"message_id": 1, "date": 1, "chat": {"id": 7, "type": "private"}, "text": "\xff\xfe"}}',
], ids=lambda b: b[:24].decode("latin-1"))
def test_a_body_that_is_no_message(world, gateway, body):
    before = n_requests(world)
    status = gateway.post(HOOK, body, SECRET).status
    assert 200 <= status < 500, "the platform must not repeat for ever what will never be right"
    assert n_requests(world) <= before + 1


def test_a_body_of_10_mb(world, gateway):
    before, rss = n_requests(world), gateway.rss_mb()
    try:
        status = gateway.post(HOOK, json.dumps(update("x" * (10 << 20))).encode(), SECRET).status
        assert status in (413, 400)
    except OSError:
        pass  # it may also hang up on us in the middle
    assert n_requests(world) == before
    assert gateway.rss_mb() < rss + 30


@pytest.mark.parametrize("text", ["a\u0000b", "\u0000", "\ud800 alone", "\u202e\u200f\u0007 controls"],
                         ids=["nul in it", "nul only", "surrogate", "controls"])
def test_texts_that_postgresql_or_utf8_would_refuse(world, gateway, text):
    alice = world.bot.person(7)
    status = gateway.post(HOOK, json.dumps(update(text, update_id=11)).encode(), SECRET).status
    assert 200 <= status < 500
    world.wait_settled()
    world.bot.say(alice, "and now")
    wait_until(lambda: "echo: and now" in world.bot.texts(alice))


def test_a_message_of_1_mb(world, gateway):
    alice = world.bot.person(7)
    text = "word " * 200_000
    assert gateway.post(HOOK, update(text, update_id=12), SECRET).status in (200, 413)
    world.wait_settled(timeout=60)
    assert world.one("SELECT coalesce(max(length(query)), 0) FROM requests") <= 66_000, "cut at message_max"
    world.bot.say(alice, "short")
    wait_until(lambda: "echo: short" in world.bot.texts(alice), 60)


def test_1000_messages_at_once_from_one_chat(world, gateway):
    alice = world.bot.person(7)
    texts = [f"m{n}" for n in range(1000)]
    world.say_all(alice, texts)
    wait_until(lambda: n_requests(world) >= 1001, 120)
    world.wait_settled(timeout=180)
    assert world.bot.texts(alice) == [f"echo: {t}" for t in texts]


def raw(gateway, data, end=True):
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as s:
        s.sendall(data)
        if end:
            s.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := s.recv(65536):
            received += chunk
        return received


@pytest.mark.parametrize("data", [
    b"garbage\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\0" * 1000,
    b"POST " + HOOK.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 5abc\r\n\r\nhello",
    b"POST " + HOOK.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"b" * 200_000 + b"\r\n\r\n",
    b"GET /%00%ff/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
], ids=["garbage", "no host", "tls", "zeros", "bad length", "two lengths", "long path", "long header", "odd path"])
def test_broken_http(gateway, data):
    answer = raw(gateway, data)
    assert not answer or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), answer[:80]


def test_pipelined_requests_are_answered_in_order(gateway):
    one = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    two = b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
    last = one.replace(b"Host", b"Connection: close\r\nHost")
    answer = raw(gateway, one + two + last, end=False)
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"200", b"404", b"200"]


# --- models ------------------------------------------------------------------------------------------------------

def ask(world, behave, text="question", times=float("inf")):
    """Somebody asks, the model behaves so; what they see."""
    alice = world.bot.person(7)
    n = n_requests(world)
    world.model.on(text, behave, times)
    world.bot.say(alice, text)
    world.wait_settled(n + 1, 60)
    [seen] = world.bot.texts(alice)[-1:]
    world.model.forget()
    return seen


@pytest.mark.parametrize("behave", ["broken", "html", "html500", "empty", "gone", "unauthorized", "not_json"])
def test_a_model_that_gives_no_answer(world, gateway, behave):
    model = world.model
    behaviour = {"broken": model.broken(), "html": model.html(), "html500": model.html(500), "empty": model.empty(),
                 "gone": model.gone(), "unauthorized": model.status(401, {"error": {"message": "no key"}}),
                 "not_json": model.status(200, "data: {broken\n\n")}[behave]
    seen = ask(world, behaviour)
    assert "test" in seen and "could not" in seen.lower() and "{" not in seen and "<" not in seen
    gateway.wait_log(r"warn turn .*model failed")


def test_a_model_that_recovers_on_the_second_try(world, gateway):
    assert ask(world, world.model.broken(), times=1) == "echo: question"
    assert len(world.model.asks) == 3, "one for Bob, two for the question"


def test_a_model_over_its_limit(world, gateway):
    assert ask(world, world.model.too_many(1), times=1) == "echo: question"
    seen = ask(world, world.model.too_many(600))
    assert "limit" in seen and "10 min" in seen


@pytest.mark.parametrize("how", ["cut", "no_end", "error"])
def test_half_a_stream_is_kept_and_marked(world, gateway, how):
    pieces = ["half ", "an ", "answer"]
    behaviour = {"cut": world.model.stream(pieces + ["never"], cut_after=3, pause=0.05), "no_end": world.model.stream(pieces, done=False),
                 "error": world.model.error_in_stream(pieces)}[how]
    seen = ask(world, behaviour)
    assert seen.startswith("half an answer") and len(seen) > len("half an answer")
    assert n_requests(world) == 2 and len(world.model.asks) == 2, "not asked again once people saw a part"


def slow_model(world, **more):
    gateway = world.gateway(models=[{"name": "test", "type": "openai", "base_url": world.model.base, "api_key": "env:MODEL_KEY",
                                     "model": "m", "tries": 1, **more}]).start()
    world.hook(gateway)
    return gateway


def test_a_model_that_writes_byte_by_byte(world):
    """That something comes is no answer yet."""
    slow_model(world, first_token_timeout="1s")
    seen = ask(world, world.model.stream(["too late"], chunk=1, drip=0.05))
    assert "could not get an answer" in seen
    wait_until(lambda: world.model.asks[-1].cancelled)
    assert ask(world, world.model.stream(["in time"], chunk=1, drip=0.001)) == "in time"


def test_10000_pieces_at_once(world, gateway):
    alice, carol = world.bot.person(7), world.bot.person(9)
    numbers = [str(n) for n in range(10_000)]
    world.model.on("count", world.model.stream([f"{n} " for n in numbers]))
    world.bot.say(alice, "count")
    world.bot.say(carol, "hello")
    wait_until(lambda: world.bot.texts(carol) == ["echo: hello"], 30)
    wait_until(lambda: " ".join(world.bot.texts(alice)).split() == numbers, 60)
    assert len(world.bot.texts(alice)) > 10, "in as many messages as it takes, none of it twice"


def test_a_model_that_repeats_itself_for_ever(world):
    slow_model(world)
    seen = ask(world, world.model.endless(0, words=["again "]))
    assert seen.startswith("again again") and "broke here" in seen and seen.count("again") < 2000, "what one read brings"
    wait_until(lambda: world.model.asks[-1].cancelled)


def test_a_stream_with_no_end(world):
    gateway = world.gateway(models=[{"name": "test", "type": "openai", "base_url": world.model.base, "api_key": "env:MODEL_KEY",
                                     "model": "m", "total_timeout": "2s"}]).start()
    world.hook(gateway)
    seen = ask(world, world.model.endless(0.05))
    assert seen.startswith("more and")
    wait_until(lambda: world.model.asks[-1].cancelled)


def test_a_model_that_says_nothing(world):
    gateway = world.gateway(models=[{"name": "test", "type": "openai", "base_url": world.model.base, "api_key": "env:MODEL_KEY",
                                     "model": "m", "first_token_timeout": "1s", "tries": 1}]).start()
    world.hook(gateway)
    assert "could not" in ask(world, world.model.silent()).lower()


def test_an_answer_of_10_mb(world, gateway):
    rss = gateway.rss_mb()
    alice = world.bot.person(7)
    world.model.on("huge", world.model.huge())
    world.bot.say(alice, "huge")
    world.wait_settled(2, 120)
    assert 1 <= len(world.bot.messages(alice)) <= 64
    assert gateway.rss_mb() < rss + 120


def test_streams_cut_anywhere_read_the_same(world, gateway):
    text = "gr\u00fc\u00dfe \U0001F600 \u65e5\u672c\u8a9e " * 20
    pieces = [text[i:i + 3] for i in range(0, len(text), 3)]
    for options in ({"chunk": 1}, {"chunk": 7}, {"eol": "\r\n"}, {"comments": True}, {"eol": "\r\n", "chunk": 5, "comments": True}):
        assert ask(world, world.model.stream(pieces, **options)) == text.strip(), options


def test_an_answer_that_is_not_streamed(world, gateway):
    assert ask(world, world.model.plain("all at once")) == "all at once"
