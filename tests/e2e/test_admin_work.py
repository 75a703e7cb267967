"""What an admin does with the API: people, conversations, dead letters, channels, leases, the record."""
import json

import pytest

from fakes.telegram import Fault
from harness.admin import admin_gateway, admin_of
from harness.wait import wait_until


@pytest.fixture
def gateway(world):
    gateway = admin_gateway(world, telegram="webhook").start()
    world.hook(gateway)
    return gateway


@pytest.fixture
def admin(world, gateway):
    return admin_of(world, gateway)


@pytest.fixture
def chat(world):
    return world.bot.person(7001, "Ada", "ada")


def said(world, chat, *texts):
    before = world.one("SELECT count(*) FROM requests")
    world.say_all(chat, texts)
    world.wait_settled(before + len(texts))


def test_people(world, gateway, admin, chat):
    said(world, chat, "hello")
    said(world, world.bot.person(7002, "Bob", "bobby"), "hello")
    bob, ada = admin.well("GET", "/users")["items"]
    assert ada["identities"][0]["channel_user_id"] == "7001"
    assert [u["id"] for u in admin.well("GET", "/users?q=OBB")["items"]] == [bob["id"]]
    assert [u["id"] for u in admin.well("GET", "/users?q=7001&channel_type=telegram&role=user")["items"]] == [ada["id"]]
    assert admin.well("GET", "/users?channel_type=slack")["items"] == []

    changed = admin.well("PATCH", f"/users/{ada['id']}", {"role": "manager", "email": "ada@example.org", "approved": True}, If_Match='"1"')
    assert (changed["role"], changed["email"], changed["version"]) == ("manager", "ada@example.org", 2) and changed["approved_at"]
    admin.refused(412, "PATCH", f"/users/{ada['id']}", {"role": "user"}, If_Match='"1"')
    assert admin.well("PATCH", f"/users/{ada['id']}", {"email": None, "approved": False})["email"] is None
    manager = admin_of(world, gateway, role="manager", permissions=["people:*"])
    assert "only an admin" in manager.refused(403, "PATCH", f"/users/{ada['id']}", {"role": "admin"})["detail"]

    admin.well("POST", "/keys", {"name": "hers", "role": "user", "user_id": ada["id"]})
    admin.well("POST", "/flags/streaming/rules", {"value": False, "person": ada["id"]})
    export = admin.well("GET", f"/users/{ada['id']}/export")
    assert [key["name"] for key in export["api_keys"]] == ["hers"] and "key_hash" not in json.dumps(export)
    assert export["flags"] == [{"flag": "streaming", "value": False}]
    assert [m["text"] for m in export["messages"]][0] == "hello"

    assert len(admin.well("POST", f"/users/{bob['id']}/link", {"into": ada["id"]})["identities"]) == 2
    admin.refused(409, "POST", f"/users/{bob['id']}/link", {"into": ada["id"]})
    face = {"channel_type": "telegram", "channel_user_id": "7002"}
    alone = admin.well("POST", f"/users/{ada['id']}/unlink", face)
    assert [i["channel_user_id"] for i in alone["identities"]] == ["7002"]
    admin.refused(404, "POST", f"/users/{ada['id']}/unlink", face)
    admin.refused(409, "POST", f"/users/{ada['id']}/unlink", {**face, "channel_user_id": "7001"})

    admin.well("POST", f"/users/{ada['id']}/forget")
    wait_until(lambda: admin.ask("GET", f"/users/{ada['id']}").status == 404, 20, "the person is erased")
    lines = admin.well("GET", f"/audit?resource_id={ada['id']}")["items"]
    assert {line["event_type"] for line in lines} == {"user.changed", "user.unlinked", "user.forgotten"}
    assert not [line for line in lines if "example.org" in json.dumps(line) or "Ada" in json.dumps(line)]


def test_conversations_and_messages(world, admin, chat):
    said(world, chat, "what is a zebra crossing?")
    conversation = admin.well("GET", "/conversations?is_active=true&channel=support")["items"][0]
    place = f"/conversations/{conversation['id']}"
    assert [m["role"] for m in admin.well("GET", f"{place}/messages")["items"]] == ["assistant", "user"]
    found = admin.well("GET", "/messages?q=zebra")["items"]
    assert {m["conversation_id"] for m in found} == {conversation["id"]}
    assert admin.well("GET", f"/messages?q=zebra+-crossing&conversation_id={conversation['id']}")["items"] == []
    assert len(admin.well("GET", f"/messages?q=%22zebra+crossing%22&user_id={conversation['user_id']}")["items"]) == 1

    request = admin.well("GET", f"/requests?status=answered&conversation_id={conversation['id']}")["items"][0]
    whole = admin.well("GET", f"/requests/{request['id']}")
    assert whole["receipt"] and whole["costs"][0]["model"]

    changed = admin.well("PATCH", place, {"title": "Zebras", "is_pinned": True, "model_override": "test"}, If_Match="*")
    assert (changed["title"], changed["is_pinned"], changed["model_override"]) == ("Zebras", True, "test")
    assert admin.well("POST", f"{place}/end")["is_active"] is False
    admin.refused(409, "POST", f"{place}/end")
    said(world, chat, "and now?")
    assert len(admin.well("GET", "/conversations")["items"]) == 2
    assert admin.well("DELETE", place) is None
    admin.refused(404, "GET", place)
    assert admin.well("GET", "/messages?q=zebra")["items"] == []
    assert len(admin.well("GET", "/conversations")["items"]) == 1


def test_a_dead_letter_is_sent_after_all(world, admin, chat):
    world.bot.block(chat)
    said(world, chat, "are you there?")
    letter = admin.well("GET", "/deliveries")["items"][0]
    assert letter["status"] == "dead" and "blocked" in letter["last_error"]
    assert "content" not in letter and admin.well("GET", f"/deliveries/{letter['id']}")["content"]
    world.bot.unblock(chat)
    admin.well("POST", f"/deliveries/{letter['id']}/retry")
    wait_until(lambda: world.bot.texts(chat), 20, "the answer arrives")
    world.wait_settled()
    assert len(world.bot.texts(chat)) == 1
    assert admin.well("GET", "/deliveries")["items"] == []
    assert admin.well("GET", "/deliveries?status=sent")["items"][0]["id"] == letter["id"]
    assert "only what is dead" in admin.refused(409, "POST", f"/deliveries/{letter['id']}/retry")["detail"]


def test_what_waits_to_be_sent_is_listed(world, admin, chat):
    world.bot.inject("sendMessage", Fault.too_many(retry_after=3))
    world.bot.say(chat, "are you there?")
    wait_until(lambda: admin.well("GET", "/deliveries?status=pending")["items"])
    [waits] = admin.well("GET", "/deliveries?status=pending")["items"]
    assert waits["attempts"] == 1 and waits["next_attempt_at"] and "retry after" in waits["last_error"].lower()
    assert admin.well("GET", "/deliveries?status=sending")["items"] == []
    assert admin.well("GET", "/deliveries?status=pending&channel=nobody")["items"] == []
    wait_until(lambda: world.bot.texts(chat), 20, "the answer arrives")
    world.wait_settled()
    assert admin.well("GET", "/deliveries?status=pending")["items"] == []


def test_a_dead_letter_is_dropped(world, admin, chat):
    world.bot.block(chat)
    said(world, chat, "are you there?")
    letter = admin.well("GET", "/deliveries")["items"][0]
    assert admin.well("POST", f"/deliveries/{letter['id']}/drop")["status"] == "dropped"
    assert admin.well("GET", "/deliveries")["items"] == []
    assert admin.well("GET", "/metrics/summary")["dead_letters"] == 0


def test_channels_models_sessions_and_figures(world, gateway, admin, chat):
    said(world, chat, "hello")
    assert {c["name"]: c["up"] for c in admin.well("GET", "/channels")["items"]} == {"web": True, "support": True}
    assert [(m["name"], m["status"]) for m in admin.well("GET", "/models")["items"]] == [("test", "healthy")]
    session = admin.well("GET", "/sessions?limit=200")["items"][0]
    assert (session["channel"], session["channel_user_id"]) == ("support", "7001")
    admin.refused(422, "GET", "/sessions?after=x")
    summary = admin.well("GET", "/metrics/summary?hours=1")
    assert (summary["requests"], summary["active_users"], summary["by_channel"]) == (1, 1, {"support": 1})
    assert admin.well("GET", "/gateway")["postgres"] is True
    assert gateway.running


def test_a_resting_model_is_woken(world, admin, chat):
    world.model.on("first", world.model.status(401, {"error": {"message": "wrong key"}}), times=1)
    said(world, chat, "first")
    model = admin.well("GET", "/models")["items"][0]
    assert model["status"] == "resting" and model["rest_s"] > 60 and "refused" in model["reason"]
    admin.refused(404, "POST", "/models/nobody/wake")
    assert admin.well("POST", "/models/test/wake")["status"] == "healthy"
    said(world, chat, "second")
    assert world.bot.texts(chat)[-1] == "echo: second"
    assert admin.well("GET", "/models")["items"][0]["status"] == "healthy"
    assert admin.well("GET", "/audit?event_type=model.woken")["items"][0]["resource_id"] == "test"


def test_drain(world, gateway, admin):
    assert admin.well("POST", "/gateway/drain")["draining"] is True
    assert gateway.process.wait(20) == 0
    assert world.one("SELECT event_type FROM audit_logs ORDER BY seq DESC LIMIT 1") == "gateway.drained"


def test_a_lease_is_taken_away(world, admin):
    world.sql("INSERT INTO channel_leases (name, owner, lease_until) VALUES ('bot', 'gone:1:x', now() + interval '1 hour')")
    assert admin.well("GET", "/leases")["items"][0]["held"] is True
    assert admin.well("DELETE", "/leases/bot") is None
    lease = admin.well("GET", "/leases")["items"][0]
    assert (lease["held"], lease["owner"], lease["fence"]) == (False, "", 2)
    admin.refused(404, "DELETE", "/leases/other")


TAMPERING = [
    ("UPDATE audit_logs SET actor = 'nobody' WHERE seq = 3", 3, "changed"),
    ("UPDATE audit_logs SET old_values = '{}' WHERE seq = 2", 2, "changed"),
    ("DELETE FROM audit_logs WHERE seq = 4", 4, "missing"),
    ("UPDATE audit_logs SET seq = CASE seq WHEN 2 THEN -3 ELSE -2 END WHERE seq IN (2, 3); UPDATE audit_logs SET seq = -seq WHERE seq < 0", 2,
     "follow"),
    ("DELETE FROM audit_logs WHERE seq = (SELECT max(seq) FROM audit_logs)", 5, "newest"),
    ("DELETE FROM audit_head", None, "head"),
    ("UPDATE audit_head SET hash = repeat('0', 64)", 5, "another line"),
]


def test_verify_names_the_line_that_somebody_touched(world, gateway, admin):
    for n in range(5):
        admin.well("POST", "/keys", {"name": f"ключ {n}", "role": "user", "metadata": {"n": n}})
    whole = admin.well("GET", "/audit/verify")
    assert (whole["valid"], whole["lines"]) == (True, 5)
    assert whole["head"] == admin.well("GET", "/audit?limit=1")["items"][0]["hash"]
    for change, seq, words in TAMPERING:
        world.sql("CREATE TABLE was AS TABLE audit_logs; CREATE TABLE was_head AS TABLE audit_head")
        world.sql("ALTER TABLE audit_logs DISABLE TRIGGER ALL")  # as a superuser can
        world.sql(change)
        found = admin.well("GET", "/audit/verify")
        assert (found["valid"], found["wrong_seq"]) == (False, seq), (change, found)
        assert words in found["reason"], (change, found)
        assert gateway.run("audit", "verify").returncode == 1
        world.sql("DELETE FROM audit_logs; INSERT INTO audit_logs TABLE was; DELETE FROM audit_head; INSERT INTO audit_head TABLE was_head;"
                  " DROP TABLE was, was_head; ALTER TABLE audit_logs ENABLE TRIGGER ALL")
    assert admin.well("GET", "/audit/verify") == whole
    assert gateway.run("audit", "verify").returncode == 0
    assert admin.well("GET", "/activity?limit=1")["items"][0]["text"].startswith("test created the key ")


def test_a_blocked_person_is_told_so_and_keeps_their_rights(world, admin, chat):
    said(world, chat, "hello")
    person = admin.well("GET", "/users")["items"][0]
    admin.well("PATCH", f"/users/{person['id']}", {"is_active": False})
    said(world, chat, "and now?", "/export")
    assert "does not want me to answer" in world.bot.texts(chat)[1]
    assert "/export/" in world.bot.texts(chat)[2]
    assert world.one("SELECT status_reason FROM requests ORDER BY id OFFSET 1 LIMIT 1") == "blocked"
    admin.well("PATCH", f"/users/{person['id']}", {"is_active": True})
    said(world, chat, "again?")
    assert world.bot.texts(chat)[-1] == "echo: again?"


def test_a_person_has_a_budget_of_their_own(world):
    models = [{"name": "test", "type": "openai", "base_url": world.model.base, "api_key": "env:MODEL_KEY", "model": "m",
               "input_price": "10", "output_price": "10", "max_tokens": 10}]
    gateway = admin_gateway(world, telegram="webhook", models=models, budgets=[{"for": "person", "day": "0.000001"}]).start()
    world.hook(gateway)
    admin, rich, poor = admin_of(world, gateway), world.bot.person(1), world.bot.person(2)
    said(world, rich, "hello")
    assert "used up" in world.bot.texts(rich)[0]
    person = admin.well("GET", "/users")["items"][0]
    changed = admin.well("PATCH", f"/users/{person['id']}", {"budget_day": 12.5})
    assert (changed["budget_day"], changed["budget_month"]) == ("12.50000000", None)
    said(world, rich, "hello")
    assert world.bot.texts(rich)[1] == "echo: hello"
    assert float(admin.well("GET", f"/users/{person['id']}")["spent"]["day"]) > 0
    assert f"person:{person['id']}" in [b["scope"] for b in admin.well("GET", "/budgets")["items"] if float(b["spent"]) > 0]
    said(world, poor, "hello")
    assert "used up" in world.bot.texts(poor)[0]
    admin.well("PATCH", f"/users/{person['id']}", {"budget_day": 0})
    said(world, rich, "hello")
    assert "used up" in world.bot.texts(rich)[2]
    admin.refused(422, "PATCH", f"/users/{person['id']}", {"budget_day": -1})
