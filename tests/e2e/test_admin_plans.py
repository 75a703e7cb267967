"""
What the admin API asks of PostgreSQL, as its plans say: nothing reads a table that grows from one end to the other, and a page
costs what it shows, however much there is.
"""
import json
import re
import urllib.parse

import pytest

from fakes import past
from harness.admin import admin_gateway, admin_of
from harness.openapi import description
from harness.wait import wait_until
from harness.world import World

PEOPLE, CONVERSATIONS, REQUESTS, LINES = 1000, 2000, 4000, 1000
GROWING = {"users", "identities", "conversations", "messages", "requests", "deliveries", "cost_records", "feedback", "attachments",
           "audit_logs", "api_key_audit_log", "webhook_deliveries", "experiment_exposures", "experiment_assignments"}
PAGE = 5
FEW = 120      # rows of a table that may be read for a page
LATEST = 1000  # messages that are looked through before the index of words is
NOT_SQL = {"channels.list", "models.list", "sessions.list", "configs.diff"}  # lists that this process or Redis has

# What reads rows that do not fit as well, in the order of ids, until the page is full: an index would cost each message more.
WALKS = {("users.list", "q"), ("users.list", "channel_type")}


class Plans:
    """What auto_explain wrote into the server's log since the last look."""

    def __init__(self, servers):
        self._log = servers.postgres_log
        self._at = self._log.stat().st_size

    def new(self):
        with self._log.open(errors="replace") as log:
            log.seek(self._at)
            text = log.read()
            self._at = log.tell()
        return [json.loads(plan) for plan in re.findall(r"ms  plan:\n((?:\t.*\n)+)", text)]


def nodes(node):
    yield node
    for inner in node.get("Plans", []):
        yield from nodes(inner)


def table_of(node):
    return re.sub(r"^messages_.*", "messages", node.get("Relation Name", ""))


def n_read(node):
    """Rows that a node looked at, whether it gave them on or not."""
    return node["Actual Loops"] * (node["Actual Rows"] + sum(node.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Index Recheck")))


def wrong_with(node, most):
    table = table_of(node)
    if table in GROWING and node["Node Type"] == "Seq Scan":
        return f"no index serves {table}"
    if table in GROWING and n_read(node) > most:
        return f"{n_read(node)} rows of {table} are read"
    if node["Node Type"] == "Sort" and n_read(node["Plans"][0]) > FEW:
        return f"{n_read(node['Plans'][0])} rows are sorted"
    return None


def expect_few(plans, what, most=FEW):
    """Nothing is read from one end to the other, no table gives more than `most` rows, and a page is not sorted out of many."""
    for plan in plans:
        for node in nodes(plan["Plan"]):
            wrong = wrong_with(node, most)
            assert not wrong, f"{what}: {wrong}: {json.dumps(plan, indent=1)}"


@pytest.fixture(scope="module")
def world(servers, template, tmp_path_factory):
    one = World(servers, tmp_path_factory.mktemp("plans"), template)
    # VACUUM: what was written last waits beside the index of words, and the planner would rather not read it there.
    for statement in past.statements(PEOPLE, CONVERSATIONS, REQUESTS, days=50) + past.admin_statements(LINES) + ["VACUUM (ANALYZE)"]:
        servers.execute(statement, one.database)
    for name, value in {"session_preload_libraries": "auto_explain", "auto_explain.log_min_duration": 0, "auto_explain.log_analyze": "on",
                        "auto_explain.log_timing": "off", "auto_explain.log_nested_statements": "on", "auto_explain.log_format": "json",
                        "enable_seqscan": "off"}.items():
        one.sql(f"ALTER DATABASE {one.database} SET {name} = '{value}'")
    yield one
    one.close()


@pytest.fixture(scope="module")
def admin(world):
    return admin_of(world, admin_gateway(world).start())


@pytest.fixture
def plans(servers):
    return Plans(servers)


@pytest.fixture(scope="module")
def known(world):
    """What there is, from the middle of each table: for the names in paths, and for filters."""
    conversation, user, request = world.sql("SELECT conversation_id, user_id, id FROM requests ORDER BY id OFFSET %s LIMIT 1", REQUESTS // 2)[0]
    return {"conversation": conversation, "user": user, "request": request,
            "delivery": world.one("SELECT id FROM deliveries WHERE request_id = %s", request),
            "key": world.one("SELECT id FROM api_keys WHERE name = 'past'")}


def filters(known):
    """Of each list its filters, and what to ask for by them: something common, something seldom, something that is not there."""
    return {
        "audit.list": {"event_type": ["flag.changed", "key.created", "nothing"], "resource_type": ["flag", "key", "nothing"],
                       "resource_id": ["thing7", "nothing"]},
        "configs.list": {"type": ["models"]},
        "conversations.list": {"channel": [past.CHANNEL, past.SELDOM, "nothing"], "user_id": [known["user"]], "is_active": ["true", "false"]},
        "messages.search": {"q": [past.COMMON, past.rare(3000), "nothing"], "user_id": [known["user"]],
                            "conversation_id": [known["conversation"]]},
        "requests.list": {"status": ["queued", "running", "sending", "answered", "refused", "cancelled", "expired", "merged"],
                          "channel": [past.CHANNEL, past.SELDOM, "nothing"], "conversation_id": [known["conversation"]],
                          "user_id": [known["user"]]},
        "deliveries.list": {"status": ["pending", "sending", "sent", "unknown", "dead", "dropped"],
                            "channel": [past.CHANNEL, past.SELDOM, "nothing"]},
        "experiments.list": {"status": ["running"]},
        "tools.definitions": {"server": ["nothing"], "is_changed": ["true", "false"]},
        "webhooks.deliveries": {"status": ["pending", "sending", "delivered", "dead"]},
        "users.list": {"q": ["person700", "nobody"], "role": ["user", "manager", "service"], "channel_type": ["telegram", "nothing"]},
    }


def path_of(operation, known):
    kinds = {"conversations": "conversation", "users": "user", "requests": "request", "deliveries": "delivery", "keys": "key"}
    return operation.filled(id=known.get(kinds.get(operation.path.split("/")[1])), name="past")


def query(given):
    return "?" + urllib.parse.urlencode(given)


def most_of(operation, name, value):
    if {(operation.id, name), (operation.id, name, value)} & WALKS:
        return REQUESTS
    if operation.id == "messages.search":
        return LATEST
    return FEW


def test_pages_are_read_by_indexes_and_cost_what_they_show(admin, plans, known):
    asked = set()
    for operation in description().operations:
        names = {p["name"] for p in operation.is_a["parameters"] if p["in"] == "query"}
        if not {"limit", "after"} <= names or operation.id in NOT_SQL:
            continue
        ours = filters(known).get(operation.id, {})
        assert set(ours) == names - {"limit", "after"}, f"{operation} has other filters than this test knows"
        needed = {"q": past.COMMON} if operation.id == "messages.search" else {}
        for name, value in [(None, None)] + [(name, value) for name, values in ours.items() for value in values]:
            ask = {**needed, **({name: value} if name else {})}
            path = path_of(operation, known)
            far = admin.well("GET", path + query({**ask, "limit": 200}))["next"]
            for after in [{}, {"after": far}] if far else [{}]:
                plans.new()
                admin.well("GET", path + query({**ask, **after, "limit": PAGE}))
                made = plans.new()
                expect_few(made, f"{operation.id} {ask} {after}", most_of(operation, name, value))
                if any("'limit'" in plan["Query Text"] for plan in made):
                    asked.add(operation.id)
    lists = {o.id for o in description().operations if {"limit", "after"} <= {p["name"] for p in o.is_a["parameters"]}}
    assert asked == lists - NOT_SQL, "auto_explain told of each"


def test_one_thing_is_found_by_an_index(admin, plans, known):
    for name in ("conversations.get", "users.get", "requests.get", "deliveries.get", "keys.get", "webhooks.get"):
        operation = next(o for o in description().operations if o.id == name)
        plans.new()
        admin.well("GET", path_of(operation, known))
        expect_few(plans.new(), name)


def test_the_figures_of_a_day_are_read_from_that_day(world, admin, plans):
    plans.new()
    summary = admin.well("GET", "/metrics/summary?hours=24")
    assert FEW / 2 < summary["requests"] < FEW
    votes = world.one("SELECT count(*) FROM feedback")  # one in twenty requests has one: all are looked at
    expect_few(plans.new(), "metrics.summary", most=votes)
    assert votes < REQUESTS / 10


def test_what_is_deleted_is_found_by_indexes(world, admin, plans, known):
    """With what hangs on it: foreign keys look for it as well."""
    plans.new()
    admin.well("DELETE", f"/conversations/{known['conversation']}")
    made = plans.new()
    expect_few(made, "conversations.delete")
    assert any(table_of(node) == "requests" and "DELETE" in plan["Query Text"] for plan in made for node in nodes(plan["Plan"]))
    admin.well("POST", f"/users/{known['user']}/forget")
    wait_until(lambda: admin.ask("GET", f"/users/{known['user']}").status == 404, 20, "the person is erased")
    expect_few(plans.new(), "users.forget")
    assert world.one("SELECT count(*) FROM requests WHERE user_id = %s", known["user"]) == 0
