"""Webhooks in: what other programs post is said in a place, or asked of a model, once, whoever sends it and whatever fails."""
import json
import time
import urllib.parse
import uuid

import pytest

from harness.admin import SECRET, admin_gateway, admin_of, key_make
from harness.discord import Town
from harness.peer import MODULES
from harness.search import traces
from harness.slack import Workspace
from harness.wait import wait_until
from harness.webhooks import Sender, StandardWebhooks

CHAT = 7
SAY = {"template": "**{{ who }}** did {{ what }}"}
NEWS = {"who": "Bob", "what": "it"}
SAID = "Bob did it"
NOBODY = "there is no such hook, or this is not signed with its secret"


@pytest.fixture
def gateway(world):
    return admin_gateway(world, telegram="webhook", chat={"lease": "2s"}).start()


@pytest.fixture
def admin(world, gateway):
    return admin_of(world, gateway)


@pytest.fixture
def alice(world, gateway):
    world.hook(gateway)
    return world.bot.person(CHAT)


@pytest.fixture(scope="module")
def library():
    one = StandardWebhooks()
    yield one
    one.end()


def hook_make(admin, name="news", kind="github", **more):
    made = admin.well("POST", "/hooks", {"name": name, "kind": kind, "channel": "support", "place": str(CHAT), **more})
    return Sender(admin.gateway, name, made.get("secret", ""))


def said(world, alice, *texts):
    wait_until(lambda: world.bot.texts(alice)[-len(texts):] == list(texts), what=f"{texts} is said")
    world.wait_settled()
    assert world.bot.texts(alice).count(texts[-1]) == 1


# --- what is taken ---------------------------------------------------------------------------------------------

def test_it_is_said_once_and_people_can_ask_about_it(world, gateway, admin, alice):
    sender = hook_make(admin, **SAY)
    answer = sender.github("custom", NEWS, "d1")
    assert answer.status == 202
    said(world, alice, SAID)
    again = sender.github("custom", NEWS, "d1")
    assert (again.status, again.json) == (200, {"request": answer.json["request"], "duplicate": True})
    assert str(uuid.UUID(answer.json["request"])) == answer.json["request"]
    assert world.bot.messages(alice)[-1].buttons == [], "there is nothing to regenerate"
    world.bot.say(alice, "what was that?")
    said(world, alice, "echo: what was that?")
    question, news, asked = world.model.asks[-1].history
    assert (question[0], "webhook news" in question[1]) == ("user", True)
    assert (news, asked) == (("assistant", "**Bob** did it"), ("user", "what was that?"))
    world.bot.say(alice, "/why 2")
    wait_until(lambda: world.bot.texts(alice)[-1].endswith("The webhook news brought this; no model was asked."))
    assert world.sql("SELECT role, username FROM users WHERE role = 'service'") == [("service", "news")]
    assert gateway.metric("parley_hooks_total", outcome="taken") == 1
    assert gateway.metric("parley_hooks_total", outcome="duplicate") == 1


def test_in_a_private_chat_the_conversation_stays_the_persons(world, gateway, admin, alice):
    sender = hook_make(admin, **SAY)
    world.bot.say(alice, "/new")
    wait_until(lambda: len(world.bot.texts(alice)) == 1)
    world.wait_settled()
    assert sender.github("custom", NEWS).status == 202
    said(world, alice, SAID)
    rows = world.sql("SELECT c.is_direct, u.role FROM conversations c JOIN users u ON u.id = c.user_id WHERE c.is_active")
    assert rows == [(True, "user")]


def test_a_model_is_asked_first_and_the_hook_pays(world, gateway, admin, alice):
    sender = hook_make(admin, template="/forget {{ what }}", mode="ask")
    assert sender.github("custom", {"what": "a_b @all"}).status == 202
    said(world, alice, "echo: /forget a_b @all")
    assert world.model.asks[-1].history[-1] == ("user", "/forget a_b @all"), "a model gets values as they are"
    assert world.sql("SELECT u.username, r.status FROM requests r JOIN users u ON u.id = r.user_id") == [("news", "answered")]
    assert world.one("SELECT count(*) FROM cost_records c JOIN users u ON u.id = c.user_id WHERE u.role = 'service'") == 1


def test_a_budget_of_a_person_is_the_hooks_own(world):
    gateway = admin_gateway(world, telegram="webhook", budgets=[{"for": "person", "day": "0.000001"}],
                            models=[{"name": "test", "type": "openai", "base_url": world.model.base, "api_key": "env:MODEL_KEY",
                                     "model": "test-model", "input_price": "100", "output_price": "100"}]).start()
    world.hook(gateway)
    alice = world.bot.person(CHAT)
    sender = hook_make(admin_of(world, gateway), template="{{ what }}", mode="ask")
    assert sender.github("custom", NEWS).status == 202
    wait_until(lambda: world.bot.texts(alice))
    world.wait_settled(1)
    assert not world.model.asks
    assert world.sql("SELECT r.status, u.role FROM requests r JOIN users u ON u.id = r.user_id") == [("refused", "service")]


def test_a_budget_of_the_key_that_brought_it(world):
    gateway = admin_gateway(world, telegram="webhook", models=[{"name": "test", "type": "openai", "base_url": world.model.base, "api_key": "env:MODEL_KEY",
                                                                "model": "test-model", "input_price": "1", "output_price": "1"}]).start()
    world.hook(gateway)
    alice, admin = world.bot.person(CHAT), admin_of(world, gateway)
    sender = hook_make(admin, kind="key", template="{{ what }}", mode="ask")
    made = admin.well("POST", "/keys", {"name": "builds", "role": "service", "permissions": ["hooks:post"], "budget_day": 5})
    assert sender.keyed(made["key"], {"what": "one"}).status == 202
    said(world, alice, "echo: one")
    assert float(world.one("SELECT spent FROM budgets WHERE scope = %s", f"key:{made['id']}")) > 0
    admin.well("PATCH", f"/keys/{made['id']}", {"budget_day": 0})
    assert sender.keyed(made["key"], {"what": "two"}).status == 202
    wait_until(lambda: "The budget of this API key for today is used up" in world.bot.texts(alice)[-1])
    assert len(world.model.asks) == 1


def test_people_are_not_limited_by_what_hooks_say(world):
    gateway = admin_gateway(world, telegram="webhook", chat={"rate_per_minute": 1}, channel={"access": "pairing"}).start()
    world.hook(gateway)
    alice = world.bot.person(CHAT)
    sender = hook_make(admin_of(world, gateway), template="{{ n }}")
    for n in range(4):
        assert sender.github("custom", {"n": f"number {n}"}).status == 202
    said(world, alice, *[f"number {n}" for n in range(4)])


def test_slack_a_thread_under_it_knows_it(world):
    place = Workspace(world)
    gateway = place.gateway(admin={"secret": "env:ADMIN_SECRET"})
    gateway.env["ADMIN_SECRET"] = SECRET
    place.ready(gateway.start())
    sender = hook_make(admin_of(world, gateway), channel="team", workspace=place.team.id, place=place.channel.id,
                       template="[{{ title }}]({{ url }}) by {{ who }}")
    value = {"title": "<!everyone> *x* <https://evil.example|y>", "url": "https://good.example/a_b", "who": "@channel <@U1>"}
    assert sender.github("custom", value).status == 202
    wait_until(lambda: place.channel.of(place.team.bot_user))
    post = place.channel.of(place.team.bot_user)[-1]
    assert "<!" not in post.text and "<@" not in post.text and "<https://evil" not in post.text
    assert "(<https://good.example/a_b>)" in post.text
    world.wait_settled(1)
    place.ask("what is it?", thread=post)
    wait_until(lambda: world.model.asks)
    history = world.model.asks[-1].history
    assert "good.example" in history[1][1] and history[-1] == ("user", "what is it?")
    world.wait_settled(2)
    for one in world.gateways:
        one.close()
    place.close()
    assert not place.slack.violations()


def test_discord_wakes_nobody(world):
    town = Town(world)
    gateway = town.gateway(admin={"secret": "env:ADMIN_SECRET"})
    gateway.env["ADMIN_SECRET"] = SECRET
    gateway.start()
    town.wait_live()
    sender = hook_make(admin_of(world, gateway), channel="guild", workspace=town.guild.id, place=town.channel.id, **SAY)
    assert sender.github("custom", {"who": "@everyone", "what": "@here <@1> [x](https://evil.example)"}).status == 202
    wait_until(lambda: town.channel.texts(town.bot))
    text = town.channel.texts(town.bot)[-1]
    assert "@everyone" not in text and "@here" not in text and "<@1>" not in text and "](https" not in text
    world.wait_settled(1)
    for one in world.gateways:
        one.close()
    town.close()


# --- who sends -------------------------------------------------------------------------------------------------

def test_standard_webhooks_by_its_own_library(world, admin, alice, library):
    sender = hook_make(admin, kind="standard", **SAY)
    assert sender.secret.startswith("whsec_")
    body = {"type": "thing.done", **NEWS}
    assert sender.standard(library, body, "msg_first").status == 202
    assert sender.standard(library, body, "msg_first").json["duplicate"]
    said(world, alice, SAID)
    other = "whsec_" + "A" * 43 + "="
    assert sender.standard(library, body, secrets=[other, sender.secret]).status == 202
    refused = sender.standard(library, body, secrets=[other])
    assert (refused.status, refused.json["error"]) == (404, NOBODY)
    stale = sender.standard(library, body, at=time.time() - 86400)
    assert (stale.status, "too old" in stale.json["error"]) == (401, True)
    assert sender.standard(library, body, at=time.time() + 400).status == 401


def test_a_secret_of_the_senders(world, admin, alice, library):
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    made = admin.well("POST", "/hooks", {"name": "news", "kind": "standard", "channel": "support", "place": str(CHAT), "secret": secret, **SAY})
    assert "secret" not in made
    assert Sender(admin.gateway, "news", secret).standard(library, NEWS).status == 202
    said(world, alice, SAID)


def test_rotation(world, gateway, admin, alice, library):
    sender = hook_make(admin, kind="standard", **SAY)
    fresh = admin.well("POST", "/hooks/news/rotate", {"overlap_hours": 1})
    assert fresh["old_secret_until"] and fresh["version"] == 2 and fresh["secret"] != sender.secret
    for secret in (sender.secret, fresh["secret"]):
        assert sender.standard(library, NEWS, secrets=[secret]).status == 202
    last = admin.well("POST", "/hooks/news/rotate", {"overlap_hours": 0})
    assert [sender.standard(library, NEWS, secrets=[s]).status for s in (fresh["secret"], last["secret"])] == [404, 202]
    assert "24 to 64" in admin.refused(422, "POST", "/hooks/news/rotate", {"secret": "not at all base64"})["detail"]


def test_with_an_api_key(world, gateway, admin, alice):
    sender = hook_make(admin, kind="key", **SAY)
    key = key_make(world, role="service", permissions=["hooks:post"])
    first = sender.keyed(key, NEWS)
    assert first.status == 202
    assert sender.keyed(key, NEWS).json == {"request": first.json["request"], "duplicate": True}, "the same body within a day"
    said(world, alice, SAID)
    assert world.sql("SELECT k.key_prefix FROM requests r JOIN api_keys k ON k.id = r.api_key_id") == [(key.split("_")[1],)]
    assert sender.keyed(key, NEWS, once="a").status == 202
    assert sender.keyed(key, {"who": "another", "what": "body"}, once="a").json["duplicate"]
    world.sql("UPDATE requests SET created_at = created_at - interval '25 hours',"
              " event_id = replace(event_id, to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD'), to_char(now() AT TIME ZONE 'UTC' - interval '1 day', 'YYYYMMDD'))")
    assert sender.keyed(key, NEWS).status == 202, "a day later it is another"
    other = key_make(world, role="service", permissions=["hooks:read"])
    assert sender.keyed(other, NEWS).status == 403
    assert sender.keyed("parley_00112233_" + "0" * 64, NEWS).status == 401
    assert [u["action"] for u in admin.well("GET", f"/keys/{other.split('_')[1]}/uses")["items"]] == ["refused: scope"]
    slow = key_make(world, role="service", permissions=["hooks:post"], rate_limit_override=1)
    assert [sender.keyed(slow, NEWS, once=f"slow {n}").status for n in range(2)] == [202, 429]


def test_github_as_it_really_is(world, admin, alice):
    sender = hook_make(admin)
    events = {}
    for folder in sorted((MODULES / "@octokit/webhooks-examples").glob("*/index.json")):
        for event in json.loads(folder.read_text()):
            ready = event["name"] in ("push", "pull_request", "issues", "release", "check_run", "ping")
            if not ready and folder.parent.name != "api.github.com":
                continue
            for payload in event["examples"]:
                answer = admin.well("POST", "/hooks/news/try", {"event": event["name"], "payload": payload})
                events.setdefault((event["name"], payload.get("action"), answer["outcome"]), []).append(answer)
                if answer["outcome"] == "message":
                    assert "{{" not in answer["text"] and "]()" not in answer["text"], answer
                    assert ready and len(answer["text"]) > 20
    said_of = {name for name, _, outcome in events if outcome == "message"}
    assert said_of == {"push", "pull_request", "issues", "release", "check_run", "ping"}
    assert {action for name, action, outcome in events if (name, outcome) == ("pull_request", "message")} == {
        "opened", "closed", "reopened", "ready_for_review"}
    assert {action for name, action, outcome in events if (name, outcome) == ("release", "message")} == {"published"}
    assert events[("issues", "labeled", "dropped")][0]["why"] == "this action is no news"
    assert events[("watch", "started", "dropped")][0]["why"] == "there is no ready template for this event"

    example = {e["name"]: e["examples"] for e in json.loads((MODULES / "@octokit/webhooks-examples/api.github.com/index.json").read_text())}
    push = next(p for p in example["push"] if p["commits"])
    assert sender.github("push", push).status == 202
    said(world, alice, "Codertocat pushed 1 commit to master of Codertocat/Hello-World\n\n\u2022 6113728 Initial commit")
    dropped = sender.github("issues", next(p for p in example["issues"] if p["action"] == "labeled"))
    assert (dropped.status, dropped.json) == (200, {"dropped": "this action is no news"})
    form = urllib.parse.urlencode({"payload": json.dumps(example["ping"][0])}).encode()
    assert sender.github("ping", form, **{"Content-Type": "application/x-www-form-urlencoded"}).status == 202


# --- who does not ----------------------------------------------------------------------------------------------

def test_strangers_learn_nothing(world, gateway, admin, alice, library):
    sender = hook_make(admin, **SAY)
    other = hook_make(admin, "other", **SAY)
    standard = hook_make(admin, "standard", kind="standard", **SAY)
    keyed = hook_make(admin, "keyed", kind="key", **SAY)
    nowhere = Sender(gateway, "nowhere", "x" * 20)
    key = key_make(world, permissions=["hooks:post"])
    answers = [
        gateway.post("/hooks/news", b"{}"), gateway.post("/hooks/nowhere", b"{}"), gateway.post("/hooks/a/b", b"{}"),
        gateway.post("/hooks/", b"{}"), gateway.post("/hooks/%f0%9f%8e%89", b"{}"),
        sender.github("custom", NEWS, secret=other.secret), nowhere.github("custom", NEWS), standard.github("custom", NEWS),
        sender.standard(library, NEWS, secrets=[standard.secret]), nowhere.standard(library, NEWS, secrets=[standard.secret]),
        sender.keyed(key, NEWS), nowhere.keyed(key, NEWS), keyed.github("custom", NEWS, secret="x"),
        gateway.post("/hooks/news", b"{}", {"X-Hub-Signature-256": "sha256=00"}),
        gateway.post("/hooks/news", b"{}", {"X-Hub-Signature-256": "sha1=" + "0" * 40}),
    ]
    assert [(a.status, a.json) for a in answers] == [(404, {"error": NOBODY})] * len(answers)
    assert gateway.get("/hooks/news").status == 405
    assert gateway.metric("parley_hooks_total", outcome="refused") == len(answers)
    assert world.one("SELECT count(*) FROM requests") == 0
    assert sender.secret not in gateway.log() and standard.secret[-20:] not in gateway.log()
    assert not traces(world, [sender.secret[-30:], standard.secret[-30:]])


def test_bad_input(world, gateway, admin, alice):
    sender = hook_make(admin, **SAY)
    for body, status, words in [
        (b"no json", 400, "JSON"), (b"", 400, ""), (b'{"who": "\xff"}', 400, ""), (b'{"who": "\\ud800"}', 400, ""),
        ({"who": "Bob"}, 422, "what: missing"), ({"who": [], "what": "x"}, 422, "who: a list"), ([], 422, "who: missing"),
        (b"null", 422, "who: missing"),
        ({"who": "x" * 1_100_000, "what": "y"}, 413, ""), (b"x" * 10_000_000, 413, ""),
    ]:
        answer = sender.github("custom", body)
        assert answer.status == status, (body[:40] if isinstance(body, bytes) else status, answer.status, answer.text)
        assert words in answer.text
    assert sender.github("custom", b"payload2=x", **{"Content-Type": "application/x-www-form-urlencoded"}).status == 400
    # What is only odd is taken.
    for n, odd in enumerate(({"who": "\0\x07", "what": None}, {"who": "x" * 900_000, "what": 1.5})):
        assert sender.github("custom", odd, "d" * 400 if n else "d").status == 202
    wait_until(lambda: world.one("SELECT count(*) FROM deliveries WHERE status = 'sent'") > 1, 60)
    admin.well("PATCH", "/hooks/news", {"is_active": False})
    off = sender.github("custom", NEWS)
    assert (off.status, "switched off" in off.json["error"]) == (403, True)
    world.sql("UPDATE hooks SET is_active = true, channel = 'gone'")
    away = sender.github("custom", NEWS)
    assert (away.status, away.headers["Retry-After"]) == (503, "1")
    assert gateway.alive()


def test_where_nobody_may_write_it_is_a_dead_letter(world, gateway, admin, alice):
    sender = hook_make(admin, **SAY)
    world.bot.block(alice)
    assert sender.github("custom", NEWS).status == 202
    wait_until(lambda: world.sql("SELECT status FROM deliveries") == [("dead",)])


# --- what fails ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("point", ["hook.in.accept.start", "intake.store.done", "turn.claim.done", "turn.keep.start", "delivery.record.done"])
def test_killed_at(world, point):
    gateway = admin_gateway(world, telegram="webhook", chat={"lease": "1s"}).start()
    world.hook(gateway)
    alice = world.bot.person(CHAT)
    sender = hook_make(admin_of(world, gateway), **SAY)
    gateway.kill()
    gateway.start(PARLEY_ABORT_AT=f"{point}:1")
    try:
        taken = sender.github("custom", NEWS, "d1").status == 202
    except OSError:
        taken = False
    gateway.wait_killed()
    gateway.start()
    if not taken:  # the sender heard nothing, so it sends it again
        assert sender.github("custom", NEWS, "d1").status in (200, 202)
    said(world, alice, SAID)
    assert sender.github("custom", NEWS, "d1").json["duplicate"]
    assert world.one("SELECT count(*) FROM requests") == 1


def test_two_processes_take_it_once(world, gateway, admin, alice):
    second = admin_gateway(world, telegram="webhook", chat={"lease": "2s"}).start()
    senders = [hook_make(admin, **SAY)]
    senders.append(Sender(second, "news", senders[0].secret))
    statuses = [senders[n % 2].github("custom", {"who": f"Bob {n // 2}", "what": "it"}, f"d{n // 2}").status for n in range(20)]
    assert statuses == [202, 200] * 10
    said(world, alice, *[f"Bob {n} did it" for n in range(10)])
    gateway.kill()
    assert senders[1].github("custom", NEWS).status == 202
    said(world, alice, SAID)


def test_postgres_away(own_world):
    gateway = admin_gateway(own_world, telegram="webhook", postgres={"statement_timeout": "1s"}).start()
    own_world.hook(gateway)
    alice = own_world.bot.person(CHAT)
    sender = hook_make(admin_of(own_world, gateway), **SAY)
    own_world.servers.kill_postgres()
    answer = sender.github("custom", NEWS, "d1")
    assert answer.status == 503 and int(answer.headers["Retry-After"]) >= 1
    own_world.servers.start()
    wait_until(lambda: sender.github("custom", NEWS, "d1").status in (200, 202), 30)
    said(own_world, alice, SAID)


# --- the admin's side ------------------------------------------------------------------------------------------

def test_what_an_admin_may_do(world, gateway, admin):
    body = {"name": "news", "kind": "github", "channel": "support", "place": "7", "events": ["issues.opened", "push"], "sample": NEWS, **SAY}
    made = admin.well("POST", "/hooks", body, Idempotency_Key="once")
    assert admin.well("POST", "/hooks", body, Idempotency_Key="once") == made, "the lost answer, with its secret"
    seen = admin.ask("GET", "/hooks/news")
    assert (seen.headers["ETag"], seen.json) == ('"1"', {k: v for k, v in made.items() if k != "secret"})
    assert made["path"] == "/hooks/news" and made["mode"] == "say"
    assert admin.well("GET", "/hooks")["items"] == [seen.json]
    tried = [admin.well("POST", "/hooks/news/try", {"payload": {"action": action, **NEWS}, "event": "issues"}) for action in ("opened", "closed")]
    assert tried == [{"outcome": "message", "text": "**Bob** did it"}, {"outcome": "dropped", "why": "this hook does not take this event"}]
    assert "what: missing" in admin.refused(422, "POST", "/hooks/news/try", {"payload": {"who": "Bob"}, "event": "push"})["detail"]
    changed = admin.well("PATCH", "/hooks/news", {"template": "", "mode": "ask", "model": "test"}, If_Match='"1"')
    assert (changed["version"], changed["template"], changed["model"]) == (2, "", "test")
    admin.refused(412, "PATCH", "/hooks/news", {"mode": "say"}, If_Match='"1"')
    admin.well("DELETE", "/hooks/news")
    admin.refused(404, "GET", "/hooks/news")
    again = admin.well("POST", "/hooks", body)
    assert again["user_id"] == made["user_id"] and again["secret"] != made["secret"]
    lines = admin.well("GET", "/audit?resource_type=hook")["items"]
    assert [line["event_type"] for line in lines] == ["hook.created", "hook.deleted", "hook.changed", "hook.created"]
    assert not traces(world, [made["secret"][-30:], again["secret"][-30:]])
    reader = admin_of(world, gateway, permissions=["hooks:read"])
    reader.refused(403, "POST", "/hooks", body)


REFUSED = [
    ({"name": "Big"}, "name"), ({"name": "a/b"}, "name"), ({"name": "telegram"}, "name"), ({"name": "-a"}, "name"), ({"name": "x" * 65}, "name"),
    ({"kind": "other"}, "kind"), ({"channel": "nobody"}, "channel"), ({"place": ""}, "place"), ({"mode": "shout"}, "mode"),
    ({"model": "nobody"}, "model"), ({"template": "{{ a"}, "template"), ({"template": "{{ b }}", "sample": {"a": 1}}, "template"),
    ({"secret": "short"}, "secret"), ({"kind": "key", "secret": "x" * 20, **SAY}, "secret"), ({"kind": "key"}, "template"),
    ({"kind": "standard", "secret": "x" * 20, **SAY}, "secret"), ({"template": "x" * 9000}, "template"), ({"events": "push"}, "events"),
]


def test_what_is_refused_is_named(admin):
    good = {"name": "news", "kind": "github", "channel": "support", "place": "7"}
    for more, field in REFUSED:
        problem = admin.refused(422, "POST", "/hooks", {**good, **more})
        assert problem.get("field") == field, (more, problem)
    admin.well("POST", "/hooks", good)
    assert admin.refused(409, "POST", "/hooks", good)["field"] == "name"
    assert "API keys" in admin.well("POST", "/hooks", {**good, "name": "keyed", "kind": "key", **SAY}).get("secret", "API keys")
    assert "API keys" in admin.refused(422, "POST", "/hooks/keyed/rotate", {})["detail"]


def test_without_a_secret_there_are_no_webhooks(world):
    gateway = world.gateway(None).start()
    assert gateway.post("/hooks/news", b"{}").status == 404


def test_another_admin_secret_opens_no_hooks(world, gateway, admin, alice):
    sender = hook_make(admin, **SAY)
    assert gateway.stop() == 0
    gateway.env["ADMIN_SECRET"] = "another-secret_0123456789"
    gateway.start()
    assert sender.github("custom", NEWS).status == 404
    assert "was admin.secret changed?" in gateway.log()
