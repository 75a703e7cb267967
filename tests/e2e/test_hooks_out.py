"""Webhooks to those who subscribed: signed, tried again, given up, replayed; nothing lost, and nowhere we must not go."""
import json
import socket

import pytest

from fakes.receiver import Receiver
from harness.admin import admin_gateway, admin_of
from harness.wait import wait_until
from harness.webhooks import StandardWebhooks

SOON = {"retry": ["50ms", "50ms", "50ms"], "timeout": "300ms"}
LATER = {"retry": ["1h"], "timeout": "300ms"}


@pytest.fixture
def receiver():
    server = Receiver().start()
    yield server
    server.stop()


class Hooks:
    """A gateway whose admin subscribes a receiver."""

    def __init__(self, world, receiver, telegram=None, **webhooks):
        self.world, self.receiver = world, receiver
        self.conf = {"hosts": [f"127.0.0.1:{receiver.port}"], **SOON, **webhooks}
        self.gateway = admin_gateway(world, telegram=telegram, webhooks=self.conf,
                                     postgres={"statement_timeout": "2s", "connect_timeout": "1s"})
        self.admin = admin_of(world, self.gateway)

    def start(self, **env):
        self.gateway.start(**env)
        if len(self.gateway.settings["channels"]) > 1:
            self.world.hook(self.gateway)
        return self

    def subscribe(self, name="one", events=("test.*",), **more):
        return self.admin.well("POST", "/webhooks", {"name": name, "url": f"{self.receiver.url}/{name}", "events": list(events), **more})

    def emit(self, n=1, kind="test.made"):
        """Events of nothing in particular."""
        self.world.sql("SELECT count(event_emit(%s, NULL, NULL, NULL, NULL, jsonb_build_object('n', n), NULL))"
                       " FROM generate_series(1, %s) AS t (n)", kind, n)

    def deliveries(self, name="one", query=""):
        return self.admin.well("GET", f"/webhooks/{name}/deliveries{query}")["items"]

    def wait_status(self, status, name="one", n=1):
        wait_until(lambda: len(self.deliveries(name, f"?status={status}")) == n,
                   what=f"{n} are {status}, having {self.deliveries(name)}")
        return self.deliveries(name, f"?status={status}")

    def wait_got(self, n, name="one"):
        wait_until(lambda: len(self.receiver.of(f"/{name}")) >= n, what=f"{n} webhooks of {name}")
        return self.receiver.of(f"/{name}")


@pytest.fixture
def hooks(world, receiver):
    return Hooks(world, receiver).start()


@pytest.fixture(scope="module")
def library():
    one = StandardWebhooks()
    yield one
    one.end()


def verified(library, secret, got):
    headers = {name.lower(): value for name, value in got.headers.items() if name.lower().startswith("webhook-")}
    return library.do("verify", **{"with": {"secret": secret, "headers": headers, "body": got.body}})


# --- what is sent ----------------------------------------------------------------------------------------------

def test_messages_are_told_of_and_signed(world, receiver, library):
    hooks = Hooks(world, receiver, telegram="webhook").start()
    brief = hooks.subscribe("brief", ["message.*"])
    whole = hooks.subscribe("whole", ["message.answered"], include_text=True)
    hooks.subscribe("web", ["*"], channels=["web"])
    alice = world.bot.person(7)
    world.bot.say(alice, "a very private question")
    world.expect_answers(alice, ["a very private question"])
    [received, answered] = sorted(hooks.wait_got(2, "brief"), key=lambda got: got.type, reverse=True)
    [told] = hooks.wait_got(1, "whole")
    assert [received.type, answered.type, told.type] == ["message.received", "message.answered", "message.answered"]
    for got, secret in ((received, brief["secret"]), (answered, brief["secret"]), (told, whole["secret"])):
        assert verified(library, secret, got)["result"] == got.json
        assert got.headers["Content-Type"] == "application/json"
    assert "error" in verified(library, whole["secret"], answered)
    assert "private" not in received.body + answered.body
    assert (told.data["text"], told.data["answer"]) == ("a very private question", "echo: a very private question")
    assert answered.data["channel"] == "support" and answered.data["model"] == "test"
    assert answered.data["request"] == received.data["request"] == str(world.one("SELECT id FROM requests"))
    assert answered.data["latency_ms"] >= 0 and answered.data["completion_tokens"] > 0
    assert {got.path for got in receiver.got} == {"/brief", "/whole"}


def test_the_secret_is_shown_once_and_rotated(world, receiver, hooks, library):
    body = {"name": "one", "url": f"{receiver.url}/one", "events": ["test.made"]}
    first = hooks.admin.well("POST", "/webhooks", body, Idempotency_Key="a")
    assert hooks.admin.well("POST", "/webhooks", body, Idempotency_Key="a") == first
    assert "secret" not in hooks.admin.well("GET", "/webhooks/one")
    hooks.emit()
    hooks.wait_got(1)
    second = hooks.admin.well("POST", "/webhooks/one/rotate", {"keep_s": 3600})
    assert second["secret"] != first["secret"] and second["old_secret_until"]
    hooks.emit()
    hooks.wait_got(2)
    third = hooks.admin.well("POST", "/webhooks/one/rotate", {"keep_s": 0})
    hooks.emit()
    secrets = [answer["secret"] for answer in (first, second, third)]
    good = [["result" in verified(library, secret, got) for secret in secrets] for got in hooks.wait_got(3)]
    assert good == [[True, False, False], [True, True, False], [False, False, True]]
    for secret in secrets:
        assert not world.sql("SELECT 1 FROM webhook_subscriptions s, audit_logs l WHERE s::text || l::text LIKE %s", f"%{secret[-20:]}%")
        assert secret[6:-2] not in hooks.gateway.log()


def test_actions_of_admins_are_events(hooks):
    hooks.subscribe("all", ["audit.*"])
    hooks.subscribe("some", ["key.*"])
    made = hooks.admin.well("POST", "/keys", {"name": "bot", "role": "user"})
    hooks.admin.well("DELETE", f"/keys/{made['id']}")
    wait_until(lambda: sorted(got.type for got in hooks.receiver.of("/some")) == ["key.created", "key.revoked"])
    wait_until(lambda: {"key.created", "key.revoked", "webhook.created"} <= {got.type for got in hooks.receiver.of("/all")})
    assert {got.data["resource"] for got in hooks.receiver.of("/some")} == {made["id"]}
    assert made["key"][-60:] not in "".join(got.body for got in hooks.receiver.got)


def test_a_test_event(hooks, library):
    secret = hooks.subscribe(events=["vote"])["secret"]
    made = hooks.admin.well("POST", "/webhooks/one/test")
    [got] = hooks.wait_got(1)
    assert verified(library, secret, got)["result"] == got.json
    assert (got.id, got.type) == (made["id"], "webhook.test")
    [kept] = hooks.wait_status("delivered")
    assert (kept["attempts"], kept["last_status"]) == (1, 204)


# --- what goes wrong -------------------------------------------------------------------------------------------

def test_tried_again_until_it_arrives(receiver, hooks):
    hooks.subscribe()
    receiver.answers["/one"] = [500, 404, {"status": 200, "body": b"x" * 500_000}]
    hooks.emit()
    got = hooks.wait_got(3)
    [kept] = hooks.wait_status("delivered")
    assert {g.id for g in got} == {kept["id"]} and len({g.body for g in got}) == 1
    assert kept["attempts"] == len(got) == 3


def test_a_receiver_that_is_away(receiver, hooks):
    hooks.subscribe()
    receiver.shut()
    hooks.emit()
    wait_until(lambda: [d for d in hooks.deliveries() if d["attempts"]])
    receiver.reopen()
    hooks.admin.well("POST", "/webhooks/one/replay")
    [kept] = hooks.wait_status("delivered")
    assert kept["last_status"] == 204 and [got.id for got in hooks.wait_got(1)] == [kept["id"]]


def test_given_up_and_replayed(receiver, hooks):
    hooks.subscribe()
    receiver.answers["/one"] = [500] * 8
    hooks.emit(2)
    dead = hooks.wait_status("dead", n=2)
    assert [d["attempts"] for d in dead] == [4, 4] and dead[0]["last_error"] == "the receiver answered 500"
    assert hooks.admin.well("GET", "/webhooks/one")["failing_since"]
    assert hooks.admin.well("POST", "/webhooks/one/replay", {"delivery": dead[0]["id"]}) == {"replayed": 1}
    hooks.wait_status("delivered")
    assert hooks.admin.well("POST", "/webhooks/one/replay") == {"replayed": 1}
    hooks.wait_status("delivered", n=2)
    assert {got.id for got in receiver.got} == {d["id"] for d in dead}
    assert hooks.admin.well("GET", "/webhooks/one")["failing_since"] is None
    hooks.admin.well("POST", "/webhooks/one/replay", {"delivery": dead[0]["id"]})
    hooks.wait_got(11)
    hooks.admin.refused(404, "POST", "/webhooks/one/replay", {"delivery": "01900000-0000-7000-8000-000000000000"})


def test_one_that_never_answers_holds_up_nobody(receiver, hooks):
    hooks.subscribe("mute")
    hooks.subscribe("other")
    receiver.answers["/mute"] = ["never"] * 1000
    hooks.emit(20)
    hooks.wait_got(20, "other")
    assert not hooks.deliveries("mute", "?status=delivered")
    wait_until(lambda: [d for d in hooks.deliveries("mute") if d["last_error"]])
    assert {d["last_status"] for d in hooks.deliveries("mute")} == {None}


def test_the_receiver_says_when_and_that_it_is_over(world, receiver, hooks):
    hooks.subscribe("slow")
    hooks.subscribe("gone")
    receiver.answers["/slow"] = [{"status": 429, "headers": {"Retry-After": "600"}}]
    receiver.answers["/gone"] = [410]
    hooks.emit()
    wait_until(lambda: world.sql("SELECT 1 FROM webhook_deliveries WHERE last_status = 429 AND status = 'pending'"
                                 " AND next_attempt_at > now() + interval '590 s'"))
    wait_until(lambda: not hooks.admin.well("GET", "/webhooks/gone")["is_active"])
    assert "410" in hooks.admin.well("GET", "/webhooks/gone")["disabled_reason"]
    hooks.emit()
    hooks.wait_got(2, "slow")
    assert len(receiver.of("/gone")) == 1
    [line] = hooks.admin.well("GET", "/audit?event_type=webhook.disabled")["items"]
    assert (line["actor"], line["resource_id"]) == ("parley", "gone")
    hooks.admin.well("PATCH", "/webhooks/gone", {"is_active": True})
    hooks.emit()
    hooks.wait_got(2, "gone")


# --- where it does not go --------------------------------------------------------------------------------------

def test_private_addresses_are_refused_when_named(receiver, hooks):
    port = receiver.port
    for url in ("http://example.org/", f"http://127.0.0.1:{port + 1}/", f"https://127.0.0.1:{port + 1}/", "https://localhost/",
                "https://2130706433/", "https://0x7f.1/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://10.1.2.3/",
                f"http://127.0.0.1:{port}@example.org/", "https://user@example.org/", "file:///etc/passwd", "nonsense"):
        problem = hooks.admin.refused(422, "POST", "/webhooks", {"name": "bad", "url": url, "events": ["*"]})
        assert problem["field"] == "url", url
    hooks.subscribe()
    hooks.admin.refused(422, "PATCH", "/webhooks/one", {"url": "https://169.254.169.254/"})
    for body, field in (({"events": []}, "events"), ({"events": ["Nonsense!"]}, "events"), ({"channels": []}, "channels")):
        assert hooks.admin.refused(422, "PATCH", "/webhooks/one", body)["field"] == field
    hooks.admin.refused(409, "POST", "/webhooks", {"name": "one", "url": "https://example.org/", "events": ["*"]})
    hooks.admin.refused(422, "POST", "/webhooks", {"name": "a/b", "url": "https://example.org/", "events": ["*"]})


def test_private_addresses_are_refused_when_connecting(world, receiver, hooks):
    """What a name means is known only then; so is what was allowed once, and no longer is."""
    name, port = socket.gethostname(), receiver.port
    hooks.admin.well("POST", "/webhooks", {"name": "named", "url": f"https://{name}:{port}/x", "events": ["test.*"]})
    for n, url in enumerate((f"https://localhost:{port}/x", f"https://[::ffff:127.0.0.1]:{port}/x", f"https://2130706433:{port}/x",
                             f"http://localhost:{port}/x")):
        hooks.subscribe(f"old{n}")
        world.sql("UPDATE webhook_subscriptions SET url = %s WHERE name = %s", url, f"old{n}")
    hooks.subscribe("redirected")
    receiver.answers["/redirected"] = [{"status": 307, "headers": {"Location": f"http://127.0.0.1:{port}/x"}}] * 4
    hooks.emit()
    for one in ("named", "old0", "old1", "old2"):
        [dead] = hooks.wait_status("dead", one)
        assert dead["last_error"] == "the address is not a public one", one
    assert "https" in hooks.wait_status("dead", "old3")[0]["last_error"]
    assert "redirects are not followed" in hooks.wait_status("dead", "redirected")[0]["last_error"]
    assert {got.path for got in receiver.got} == {"/redirected"}


# --- processes that die, people who leave ----------------------------------------------------------------------

@pytest.mark.parametrize("point, times", [("webhook.send.start", 1), ("webhook.send.done", 2), ("webhook.record.done", 1)])
def test_killed_at(world, receiver, point, times):
    hooks = Hooks(world, receiver).start(PARLEY_ABORT_AT=point)
    hooks.subscribe()
    hooks.emit()
    hooks.gateway.wait_killed()
    hooks.gateway.start()
    [kept] = hooks.wait_status("delivered")
    assert [got.id for got in receiver.got] == [kept["id"]] * times


def test_an_outcome_waits_for_postgres(own_world, receiver):
    """What has arrived is not sent again because nobody could note it."""
    hooks = Hooks(own_world, receiver, timeout="30s").start()
    hooks.subscribe()
    receiver.answers["/one"] = ["held"]
    hooks.emit()
    hooks.wait_got(1)
    own_world.servers.stop("postgres")
    receiver.call(receiver.released.set)
    wait_until(lambda: "step=record_wait" in hooks.gateway.log())
    own_world.servers.start("postgres")
    wait_until(hooks.gateway.ready)
    [kept] = hooks.wait_status("delivered")
    assert [got.id for got in receiver.got] == [kept["id"]] and kept["attempts"] == 1


def test_two_processes_send_each_once(world, receiver, hooks):
    other = Hooks(world, receiver).start()
    hooks.subscribe("one")
    hooks.subscribe("two")

    def both_are_busy():
        hooks.emit(5)
        return all(h.gateway.metric("parley_webhooks_total", outcome="delivered") for h in (hooks, other))
    wait_until(both_are_busy)
    wait_until(lambda: not world.one("SELECT count(*) FROM webhook_deliveries WHERE status <> 'delivered'"), 30)
    n = world.one("SELECT count(*) FROM webhook_deliveries")
    assert len(receiver.got) == len({got.id for got in receiver.got}) == n


def test_what_waits_is_forgotten_with_the_person(world, receiver):
    hooks = Hooks(world, receiver, telegram="webhook", **LATER).start()
    hooks.subscribe("one", ["*"], include_text=True)
    receiver.answers["/one"] = [500] * 1000
    alice = world.bot.person(7)
    world.bot.say(alice, "vermilion")
    world.expect_answers(alice, ["vermilion"])
    wait_until(lambda: world.one("SELECT count(*) FROM webhook_deliveries WHERE body LIKE '%%vermilion%%'") == 2)
    user = world.one("UPDATE users SET forget_at = now() - interval '1 min' RETURNING id")
    wait_until(lambda: not world.sql("SELECT 1 FROM users"))
    assert world.one("SELECT count(*) FROM webhook_deliveries WHERE body LIKE '%%vermilion%%'") == 0
    assert [(t, json.loads(b)["data"]) for t, b in world.sql(
        "SELECT type, body FROM webhook_deliveries WHERE body LIKE %s", f"%{user}%")] == [("person.forgotten", {"user": str(user)})]


def test_paused_deleted_and_without_a_secret(world, receiver, hooks):
    hooks.subscribe()
    hooks.admin.well("PATCH", "/webhooks/one", {"is_active": False}, If_Match='"1"')
    hooks.admin.refused(412, "PATCH", "/webhooks/one", {"is_active": True}, If_Match='"1"')
    hooks.emit()
    assert hooks.deliveries() == []
    hooks.admin.well("PATCH", "/webhooks/one", {"is_active": True}, If_Match='"2"')
    hooks.emit()
    hooks.wait_got(1)
    hooks.wait_status("delivered")
    # Sealed by another admin.secret: it is not sent unsigned.
    hooks.gateway.stop()
    hooks.gateway.env["ADMIN_SECRET"] += "x"
    hooks.gateway.start()
    hooks.emit()
    wait_until(lambda: "rotate" in (world.one("SELECT coalesce(max(last_error), '') FROM webhook_deliveries WHERE status <> 'delivered'")))
    hooks.gateway.stop()
    hooks.gateway.env["ADMIN_SECRET"] = hooks.gateway.env["ADMIN_SECRET"][:-1]
    hooks.gateway.start()
    hooks.admin.well("DELETE", "/webhooks/one")
    hooks.admin.refused(404, "GET", "/webhooks/one")
    hooks.emit()
    assert world.one("SELECT count(*) FROM webhook_deliveries") == 0
