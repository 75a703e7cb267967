"""The OpenAPI description: it is one, the gateway is as it says, and nothing is done for those who may not."""
import json
import re
import subprocess

import pytest

from harness.admin import Admin, admin_gateway, admin_of
from harness.gateway import BINARY
from harness.openapi import description
from harness.servers import ROOT

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@pytest.fixture(scope="module")
def described():
    return description()


@pytest.fixture(scope="module")
def gateway(shared_world):
    return admin_gateway(shared_world, telegram="webhook").start()


def test_the_file_is_what_the_program_prints(described):
    assert described.text == (ROOT / "conf/openapi.json").read_text(), "run: parley openapi > conf/openapi.json"


def test_a_validator_finds_nothing_wrong(described):
    verdict = described.judge.ask("validate", doc=described.document)
    assert verdict["valid"], verdict["errors"]
    broken = json.loads(described.text)
    next(iter(next(iter(broken["paths"].values())).values()))["responses"] = 5
    assert not described.judge.ask("validate", doc=broken)["valid"]


def test_an_answer_that_is_not_as_described_is_seen(described):
    keys = next(o for o in described.operations if o.id == "keys.list")
    described.expect(keys, 200, "application/json", {"items": [], "next": None})
    for status, kind, value in ((200, "application/json", {"items": [{}], "next": None}), (200, "application/json", {"items": []}),
                                (200, "text/html", {"items": [], "next": None}), (201, "application/json", {"items": [], "next": None}),
                                (404, "application/problem+json", {"detail": "no"})):
        with pytest.raises(AssertionError):
            described.expect(keys, status, kind, value)


def test_ids_and_names_are_said_once(described):
    ids = [o.id for o in described.operations]
    assert len(set(ids)) == len(ids)
    for operation in described.operations:
        names = [p["name"] for p in operation.is_a["parameters"] if p["in"] == "path"]
        assert sorted(names) == sorted(operation.names), operation


def test_the_gateway_serves_it(described, gateway):
    assert gateway.get("/admin/v1/openapi.json").json == described.document


def test_the_routes_are_those_of_the_file_and_no_others(described, gateway):
    for operation in described.operations:
        path = operation.filled()
        allowed = {o.method for o in described.operations if o.pattern.fullmatch(path)}
        for method in set(METHODS) - allowed:
            answer = gateway.request(method, "/admin/v1" + path)
            assert answer.status == 405, (method, path)
            assert set(answer.headers["Allow"].split(", ")) == allowed, (method, path)
        assert gateway.request(operation.method, "/admin/v1" + path + "/nothing/of/the/kind").status == 404


def test_the_commands_are_those_of_the_file_and_no_others(described):
    shown = subprocess.run([BINARY, "help"], check=True, text=True, capture_output=True).stdout.split("The admin API")[1]
    commands = {f"{subject}.{verb.replace(' ', '.').replace('-', '_')}" for subject, verbs in re.findall(r"^  (\w[\w-]*) +(\w.*)$", shown, re.M)
                for verb in verbs.split(", ")}
    assert commands == {o.id for o in described.operations}


def test_nobody_may_do_anything_without_a_key(described, gateway):
    for operation in described.operations:
        status = Admin(gateway, "").ask(operation.method, operation.filled()).status
        assert status == (401 if operation.scopes else 200), operation


def test_a_key_without_scopes_may_do_nothing(described, gateway, shared_world):
    weak = admin_of(shared_world, gateway, permissions=["none:none"])
    for operation in described.operations:
        if not operation.scopes:
            continue
        problem = weak.refused(403, operation.method, operation.filled())
        assert operation.scopes[0] in problem["detail"], operation


def test_a_scope_opens_its_operations_and_no_others(described, gateway, shared_world):
    scopes = sorted({scope for o in described.operations for scope in o.scopes})
    assert all(re.fullmatch(r"[a-z_]+:[a-z_]+", scope) for scope in scopes), scopes
    for scope in scopes:
        one = admin_of(shared_world, gateway, permissions=[scope])
        for operation in described.operations:
            if operation.method == "GET" and operation.scopes:  # what changes something is not done for this
                refused = one.ask("GET", operation.filled()).status == 403
                assert refused == (scope not in operation.scopes), (scope, operation)


@pytest.fixture(scope="module")
def admin(shared_world, gateway):
    """Somebody who has something to look at."""
    admin = admin_of(shared_world, gateway)
    shared_world.hook(gateway)
    shared_world.say_all(shared_world.bot.person(7001, "Ada", "ada"), ["hello", "/new", "hello again"])
    shared_world.wait_settled(3)
    admin.well("POST", "/keys", {"name": "bot", "role": "user", "expires_at": "2999-01-01T00:00:00Z"})
    return admin


def test_real_answers_are_what_the_file_says(described, admin):
    """Each GET: the lists, and of what they list each thing by itself."""
    lists = [o for o in described.operations if o.method == "GET" and not o.names]
    needed = {o.path: [p["name"] for p in o.is_a["parameters"] if p["in"] == "query" and p["required"]] for o in lists}
    for operation in lists:
        if needed[operation.path]:
            continue
        answer = admin.well("GET", operation.path)  # which looks at the schema
        for inner in described.operations:
            if inner.method != "GET" or len(inner.names) != 1 or not inner.path.startswith(operation.path + "/{"):
                continue
            for row in answer.get("items", [])[:2]:
                name = row.get(inner.names[0], row.get("id"))
                admin.well("GET", inner.filled(**{inner.names[0]: name}))


def test_a_page_goes_on_where_the_last_one_ended(described, admin):
    for operation in described.operations:
        names = {p["name"] for p in operation.is_a["parameters"] if p["in"] == "query"}
        required = {p["name"] for p in operation.is_a["parameters"] if p["required"]}
        if not {"limit", "after"} <= names or required:
            continue
        whole = admin.well("GET", f"{operation.path}?limit=200")["items"]
        seen, after = [], ""
        while after is not None and len(seen) <= len(whole):
            page = admin.well("GET", f"{operation.path}?limit=1{after and '&after=' + after}")
            seen += page["items"]
            after = page["next"]
        if operation.id not in ("audit.list", "activity.list"):  # which grow as they are read
            assert len(seen) == len(whole), operation
        refused = admin.refused(422, "GET", f"{operation.path}?limit=201")
        assert refused["field"] == "limit"
