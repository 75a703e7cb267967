"""The admin API: who may, what is checked, what is noted."""
import hashlib
import json

import pytest

from harness.admin import Admin, admin_gateway, admin_of


@pytest.fixture
def gateway(world):
    return admin_gateway(world).start()


@pytest.fixture
def admin(world, gateway):
    return admin_of(world, gateway)


def test_without_a_secret_there_is_no_admin_api(world):
    gateway = world.gateway(telegram=None).start()
    answer = gateway.get("/admin/v1/keys")
    assert answer.status == 404
    assert "admin.secret" in answer.json["detail"]


def test_a_key_is_needed_and_must_be_right(gateway):
    assert "Authorization" in Admin(gateway, "").refused(401, "GET", "/keys")["detail"]
    for wrong in ("x", "parley_00112233_" + "0" * 64, "Ünicode"):
        answer = Admin(gateway, wrong.encode().decode("latin-1")).ask("GET", "/keys")
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_scopes(world, gateway):
    reader = admin_of(world, gateway, permissions=["keys:read"])
    assert reader.well("GET", "/keys")["items"]
    assert "keys:write" in reader.refused(403, "POST", "/keys", {"name": "x", "role": "user"})["detail"]
    whole = admin_of(world, gateway, permissions=["keys:*"])
    assert "has not got" in whole.refused(403, "POST", "/keys", {"name": "x", "role": "admin"})["detail"]
    assert whole.well("POST", "/keys", {"name": "x", "role": "service", "permissions": ["keys:read"]})["key"]


def test_a_key_is_shown_once_used_changed_and_revoked(world, gateway, admin):
    made = admin.well("POST", "/keys", {"name": "bot", "role": "manager"})
    fresh = Admin(gateway, made["key"])
    assert made["key"].startswith(f"parley_{made['prefix']}_")
    assert made["key"] not in json.dumps(admin.well("GET", "/keys"))
    assert not world.sql("SELECT 1 FROM api_keys k, audit_logs l WHERE k::text || l::text LIKE %s", f"%{made['key'][-30:]}%")
    assert made["key"][-64:] not in gateway.log()
    fresh.refused(403, "GET", "/keys")
    seen = admin.ask("GET", f"/keys/{made['prefix']}")
    assert seen.headers["ETag"] == '"1"'
    changed = admin.well("PATCH", f"/keys/{made['id']}", {"permissions": ["keys:read"]}, If_Match='"1"')
    assert changed["version"] == 2
    assert "version 2" in admin.refused(412, "PATCH", f"/keys/{made['id']}", {"name": "late"}, If_Match='"1"')["detail"]
    assert fresh.well("GET", "/keys?limit=1")["items"]
    admin.well("DELETE", f"/keys/{made['prefix']}")
    assert "revoked" in fresh.refused(401, "GET", "/keys")["detail"]
    uses = [u["action"] for u in admin.well("GET", f"/keys/{made['id']}/uses")["items"]]
    assert uses == ["refused: revoked", "revoked", "used", "changed", "refused: scope", "created"]


def test_an_expired_key(world, gateway):
    late = admin_of(world, gateway, expires_at="2001-01-01")
    assert "expired" in late.refused(401, "GET", "/keys")["detail"]


def test_a_repeated_post_shows_the_same_key(admin):
    body = {"name": "once", "role": "user"}
    first = admin.well("POST", "/keys", body, Idempotency_Key="a")
    assert admin.well("POST", "/keys", body, Idempotency_Key="a") == first
    assert "another request" in admin.refused(422, "POST", "/keys", {**body, "name": "two"}, Idempotency_Key="a")["detail"]
    assert admin.well("POST", "/keys", body, Idempotency_Key="b")["id"] != first["id"]


def test_an_address_that_guesses_is_locked_out(world, gateway, admin):
    for _ in range(10):
        Admin(gateway, "parley_0a0a0a0a_" + "1" * 64).ask("GET", "/keys")
    answer = Admin(gateway, "parley_0a0a0a0b_" + "1" * 64).ask("GET", "/keys")
    assert answer.status == 429 and 0 < int(answer.headers["Retry-After"]) <= 900
    assert admin.ask("GET", "/keys").status == 429  # the right one from there has to wait as well
    world.sql("DELETE FROM key_guesses WHERE who LIKE 'ip:%%'")
    assert admin.well("GET", "/audit?event_type=key.guessed")["items"][0]["resource_id"] == "0a0a0a0a"
    # Who knows a prefix cannot lock its owner out.
    world.sql("INSERT INTO key_guesses VALUES (%s, 99, now() + interval '1 hour')", f"key:{admin.key.split('_')[1]}")
    admin.well("GET", "/keys")


def test_a_key_has_its_own_rate(world, gateway):
    slow = admin_of(world, gateway, rate_limit_override=2)
    assert [slow.ask("GET", "/keys").status for _ in range(3)] == [200, 200, 429]


BAD_INPUT = [
    ("POST", "/keys", b"{", 400, None, "body"),
    ("POST", "/keys", b'"x"', 400, None, "object"),
    ("POST", "/keys", b'{"name": "\xff", "role": "user"}', 400, None, "body"),
    ("POST", "/keys", {"role": "user"}, 422, "name", "missing"),
    ("POST", "/keys", {"name": "", "role": "user"}, 422, "name", "1 to 200"),
    ("POST", "/keys", {"name": 5, "role": "user"}, 422, "name", "a text"),
    ("POST", "/keys", {"name": "x", "role": "king"}, 422, "role", "admin, manager"),
    ("POST", "/keys", {"name": "x", "role": "user", "nmae": 1}, 422, None, "nmae"),
    ("POST", "/keys", {"name": "x", "role": "user", "expires_at": "tomorrow"}, 422, "expires_at", "2026"),
    ("POST", "/keys", {"name": "x", "role": "user", "expires_at": "2001-01-01T00:00:00Z"}, 422, "expires_at", "over"),
    ("POST", "/keys", {"name": "x", "role": "user", "expires_at": "2026-13-41T00:00:00Z"}, 422, None, "cannot be read"),
    ("POST", "/keys", {"name": "x", "role": "user", "permissions": ["all of it"]}, 422, "permissions", "no scope"),
    ("POST", "/keys", {"name": "x", "role": "user", "permissions": "*"}, 422, "permissions", "list"),
    ("POST", "/keys", {"name": "x", "role": "user", "rate_limit_override": 0}, 422, "rate_limit_override", "from 1"),
    ("POST", "/keys", {"name": "x", "role": "user", "rate_limit_override": 1.5}, 422, "rate_limit_override", "whole"),
    ("POST", "/keys", {"name": "x", "role": "user", "user_id": "me"}, 422, "user_id", "UUID"),
    ("POST", "/keys", {"name": "x", "role": "user", "user_id": "01900000-0000-7000-8000-000000000000"}, 422, "user_id", "person"),
    ("POST", "/keys", {"name": "x\0y", "role": "user"}, 422, "name", "NUL"),
    ("GET", "/keys?limit=0", None, 422, "limit", "1 to 200"),
    ("GET", "/keys?limit=many", None, 422, "limit", "1 to 200"),
    ("GET", "/keys?lmit=3", None, 422, None, "lmit"),
    ("GET", "/keys?after=%ff", None, 422, "after", "encoded"),
    ("GET", "/keys?after=x", None, 422, None, "cannot be read"),
    ("GET", "/keys/nobody", None, 404, None, "no such"),
    ("DELETE", "/keys/nobody", None, 404, "id", "no such"),
    ("GET", "/nothing", None, 404, None, "openapi"),
]


def test_bad_input_is_named(admin):
    for method, path, body, status, field, words in BAD_INPUT:
        problem = admin.refused(status, method, path, body)
        assert problem.get("field") == field, (path, body, problem)
        assert words in problem["detail"], (path, body, problem)


def test_other_methods_and_large_bodies(admin):
    answer = admin.ask("PUT", "/keys", {})
    assert answer.status == 405 and answer.headers["Allow"] == "GET, POST"
    assert admin.ask("POST", "/keys", {"name": "x" * 300_000, "role": "user"}).status == 413


def test_pages(admin):
    names = [f"key {n}" for n in range(5)]
    for name in names:
        admin.well("POST", "/keys", {"name": name, "role": "user"})
    seen, path = [], "/keys?limit=2"
    while path:
        page = admin.well("GET", path)
        seen += [key["name"] for key in page["items"]]
        path = page["next"] and f"/keys?limit=2&after={page['next']}"
    assert [name for name in seen if name in names] == names[::-1]


def audit_hash(row):
    """The chain's rule, written a second time."""
    def part(value):
        return "-" if value is None else f"{len(value.encode())}:{value}"
    columns = ("seq", "user_id", "api_key_id", "actor", "event_type", "resource_type", "resource_id", "old_values", "new_values",
               "ip_address", "user_agent", "created_at", "previous_hash")
    return hashlib.sha256(",".join(part(row[name]) for name in columns).encode()).hexdigest()


def test_every_change_is_in_the_record_and_the_record_is_a_chain(world, admin):
    made = admin.well("POST", "/keys", {"name": "one", "role": "user"})
    admin.well("PATCH", f"/keys/{made['id']}", {"name": "two"})
    line = admin.well("GET", f"/audit?resource_type=key&resource_id={made['id']}&limit=1")["items"][0]
    assert (line["event_type"], line["actor"]) == ("key.changed", "test")
    assert (line["old_values"]["name"], line["new_values"]["name"]) == ("one", "two")
    assert line["ip_address"] == "127.0.0.1" and line["user_agent"].startswith("Python")
    before = "0" * 64
    for text, in world.sql("SELECT (SELECT json_object_agg(key, value) FROM json_each_text(row_to_json(t))) FROM"
                           " (SELECT seq, user_id, api_key_id, actor, event_type, resource_type, resource_id, old_values::text, new_values::text,"
                           "  ip_address, user_agent, (created_at AT TIME ZONE 'UTC')::text || '+00' AS created_at, previous_hash, hash"
                           "  FROM audit_logs ORDER BY seq) t"):
        assert text["previous_hash"] == before
        assert audit_hash(text) == text["hash"]
        before = text["hash"]
    assert world.sql("SELECT hash FROM audit_head")[0][0] == before


def test_the_record_only_grows(world, admin):
    admin.well("POST", "/keys", {"name": "one", "role": "user"})
    for change in ("UPDATE audit_logs SET actor = 'x'", "DELETE FROM audit_logs", "TRUNCATE audit_logs"):
        with pytest.raises(Exception, match="only grows"):
            world.sql(change)
