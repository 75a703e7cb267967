"""Models, routes, budgets and chat settings changed at run time: in all processes at once, in versions, and never in the middle of
an answer."""
import signal

import pytest

from fakes.openai import FakeOpenAI
from harness.admin import admin_gateway, admin_of
from harness.wait import stays, wait_until
from test_commands import say

SECRETS = {"config_secrets": ["env:*_KEY"]}


@pytest.fixture
def other():
    """The server of another model."""
    fake = FakeOpenAI().start()
    yield fake
    fake.stop()


@pytest.fixture
def gateway(world):
    gateway = admin_gateway(world, telegram="webhook", gateway=SECRETS).start()
    world.hook(gateway)
    return gateway


@pytest.fixture
def admin(world, gateway):
    return admin_of(world, gateway, name="ann")


def model(fake, name, **more):
    return {"name": name, "type": "openai", "base_url": fake.base, "api_key": "env:MODEL_KEY", "model": f"real-{name}", **more}


def put(admin, kind, content, **more):
    return admin.well("POST", "/configs", {"type": kind, "content": content, "activate": True, **more})


def in_force(gateway, kind):
    return gateway.metric("parley_configuration_version", type=kind)


def until(gateways, kind, version, timeout=20):
    wait_until(lambda: all(in_force(g, kind) == version for g in gateways), timeout, f"{kind} {version} is in force")


def test_a_new_model_answers_in_all_processes_at_once(world, gateway, admin, other):
    second = world.gateway(gateway=SECRETS).start()
    alice = world.bot.person(7)
    assert "no model" in say(world, alice, "/model late")
    made = put(admin, "models", [model(other, "late")], note="try it")
    assert (made["version"], made["is_active"], made["created_by"], made["note"]) == (1, True, "ann", "try it")
    until([gateway, second], "models", 1, 4)  # pushed: sooner than anybody would have looked
    for n, process in enumerate((gateway, second)):
        world.hook(process)
        say(world, alice, "/model late")
        assert say(world, alice, f"hello {n}") == f"echo: hello {n}"
    assert [ask.body["model"] for ask in other.asks] == ["real-late"] * 2
    assert "configured by models version 1" in say(world, alice, "/why")
    assert world.one("SELECT config_snapshot FROM requests WHERE query = 'hello 1'") == {"models": 1}
    say(world, alice, "/model test")
    assert say(world, alice, "and you?") == "echo: and you?", "the file's are still there"
    assert len(other.asks) == 2


def test_an_answer_under_way_is_finished_by_the_model_that_began_it(world, gateway, admin, other):
    pieces = [f"piece {n} " for n in range(30)]
    world.model.on("story", world.model.stream(pieces, pause=0.1))
    alice, bob = world.bot.person(7), world.bot.person(8)
    world.bot.say(alice, "a story")
    wait_until(lambda: world.bot.texts(alice), what="the beginning is shown")
    put(admin, "models", [model(other, "test")])
    until([gateway], "models", 1)
    assert not world.model.asks[0].finished, "it was replaced in the middle"
    assert say(world, bob, "hello") == "echo: hello"
    wait_until(lambda: world.bot.texts(alice)[-1] == "".join(pieces).strip())
    assert [ask.last for ask in other.asks] == ["hello"]
    put(admin, "models", [model(other, "test", temperature=0.5)])
    until([gateway], "models", 2)
    assert say(world, alice, "more") == "echo: more"
    assert other.asks[-1].body["temperature"] == 0.5

def test_more_members_of_a_request_may_be_nested(world, gateway, admin, other):
    extra = {"provider": {"order": ["a", "b"]}, "plugins": [{"id": "web"}]}
    put(admin, "models", [model(other, "test", extra=extra)])
    until([gateway], "models", 1)
    assert say(world, world.bot.person(7), "hello") == "echo: hello"
    assert {key: other.asks[-1].body[key] for key in extra} == extra
    assert "may not set" in admin.refused(422, "POST", "/configs", {"type": "models", "content": [
        model(other, "test", extra={"messages": []})]})["detail"]


def test_roll_back_and_back_to_the_file(world, gateway, admin, other):
    alice = world.bot.person(7)
    put(admin, "models", [model(other, "test", temperature=0.1)])
    put(admin, "models", [model(other, "test", temperature=0.2), model(other, "more")])
    waiting = admin.well("POST", "/configs", {"type": "models", "content": [model(other, "unused")]})
    assert (waiting["version"], waiting["is_active"], waiting["activated_at"]) == (3, False, None)
    until([gateway], "models", 2)
    say(world, alice, "one")

    changes = admin.well("GET", "/configs/models/2/diff?from=1")["items"]
    assert {c["setting"]: (c["old"], c["new"]) for c in changes if c["setting"] in ("test.temperature", "more.model")} == {
        "test.temperature": (0.1, 0.2), "more.model": (None, "real-more")}
    assert not [c for c in changes if c["setting"] == "test.base_url"]
    assert admin.refused(404, "GET", "/configs/models/9/diff")
    assert admin.well("GET", "/configs/models/active")["version"] == 2

    assert "version 2" in admin.refused(412, "POST", "/configs/models/3/activate", If_Match='"1"')["detail"]
    assert admin.well("POST", "/configs/models/rollback", If_Match='"2"')["version"] == 1
    until([gateway], "models", 1)
    say(world, alice, "two")
    assert "deactivate" in admin.refused(409, "POST", "/configs/models/rollback")["detail"]
    admin.well("POST", "/configs/models/deactivate")
    until([gateway], "models", 0)
    say(world, alice, "three")
    assert [(ask.last, ask.body["temperature"]) for ask in other.asks] == [("one", 0.2), ("two", 0.1)]
    assert [ask.last for ask in world.model.asks] == ["three"]
    assert admin.refused(404, "GET", "/configs/models/active")

    lines = admin.well("GET", "/audit?resource_type=config")["items"]
    seen = [(li["event_type"], (li["old_values"] or {}).get("version"), (li["new_values"] or {}).get("version"))
            for li in reversed(lines)]
    assert seen == [("config.created", None, 1), ("config.activated", None, 1), ("config.created", None, 2),
                    ("config.activated", 1, 2), ("config.created", None, 3), ("config.activated", 2, 1),
                    ("config.deactivated", 1, None)]
    for statement in ("UPDATE configurations SET content = '[]'", "DELETE FROM configurations"):
        with pytest.raises(Exception, match="does not change"):
            world.sql(statement)


BAD = {
    "unknown key": ("models", [{"name": "a", "type": "demo", "colour": 1}], "models:1: models.colour"),
    "second entry": ("models", [{"name": "a", "type": "demo"}, {"name": "b", "type": "gpt"}], "models:2:"),
    "literal secret": ("models", [{"name": "a", "type": "openai", "api_key": "sk-0123456789abc"}], "a secret does not belong here"),
    "secret header": ("models", [{"name": "a", "type": "openai", "headers": ["X-Api-Key: 0123456789abc"]}], "models.headers"),
    "password in URL": ("models", [{"name": "a", "type": "openai", "base_url": "https://me:0123456789abc@h/v1"}], "models.base_url"),
    "not there": ("models", [{"name": "a", "type": "openai", "api_key": "env:NOT_SET_KEY"}], "NOT_SET_KEY is not set"),
    "not allowed": ("models", [{"name": "a", "type": "openai", "api_key": "env:ADMIN_SECRET"}], "may not be used here"),
    "a file": ("models", [{"name": "a", "type": "openai", "api_key": "file:/etc/passwd"}], "may not be used here"),
    "no such model": ("routes", [{"name": "r", "models": ["nobody"]}], 'routes:1: no model is named "nobody"'),
    "no limit": ("budgets", [{"for": "all"}], "budgets:1:"),
    "default": ("chat", {"model": "nobody"}, "chat.model"),
    "out of bounds": ("chat", {"history_messages": 100000}, "chat.history_messages"),
    "too many": ("routes", [{"name": f"r{n}", "models": ["test"]} for n in range(101)], "routes: more than 100 entries"),
    "no list": ("models", {"name": "a", "type": "demo"}, "models: must be an array"),
    "no object": ("chat", [], "chat: must be an object"),
    "null": ("chat", {"model": None}, "chat:1: model"),
}


def test_what_cannot_be_applied_is_refused_by_its_key(world, gateway, admin):
    for what, (kind, content, said) in BAD.items():
        body = {"type": kind, "content": content}
        for path in ("/configs/check", "/configs"):
            problem = admin.refused(422, "POST", path, body)
            assert said in problem["detail"] and problem["field"] == "content", (what, problem)
            assert "0123456789abc" not in str(problem)
    assert admin.well("POST", "/configs/check", {"type": "models", "content": [{"name": "a", "type": "demo"}]}) == {"well": True}
    assert world.one("SELECT count(*) FROM configurations") == 0
    assert admin.refused(422, "POST", "/configs", {"type": "tools", "content": []})["field"] == "type"
    reader = admin_of(world, gateway, permissions=["configs:read"])
    assert reader.well("POST", "/configs/check", {"type": "models", "content": []})
    assert reader.refused(403, "POST", "/configs", {"type": "models", "content": []})
    assert in_force(gateway, "models") == 0


def test_a_process_that_cannot_apply_it_says_so_and_goes_on(world, gateway, admin, other):
    second = admin_gateway(world, telegram="webhook", gateway=SECRETS)
    second.start()
    gateway.kill()
    gateway.start(ONLY_HERE_KEY="sk-only-here")
    put(admin, "models", [model(other, "test")])
    until([gateway, second], "models", 1)
    put(admin, "models", [model(other, "test", api_key="env:ONLY_HERE_KEY")])
    put(admin, "chat", {"history_messages": 4})
    until([gateway], "models", 2)
    until([gateway, second], "chat", 1)
    assert in_force(second, "models") == 1
    second.wait_log(r"cannot be applied here.*type=models version=2 .*ONLY_HERE_KEY is not set")
    assert len([li for li in second.log().splitlines() if "cannot be applied here" in li]) == 1
    admin.gateway = second
    [state] = [t for t in admin.well("GET", "/configs/state")["types"] if t["type"] == "models"]
    assert (state["in_force"], state["refused"]) == (1, 2) and "ONLY_HERE_KEY" in state["why"]
    assert "ONLY_HERE_KEY" in admin.refused(422, "POST", "/configs/models/2/activate")["detail"]
    world.hook(second)
    assert say(world, world.bot.person(7), "still?") == "echo: still?"
    assert other.asks[-1].headers["Authorization"] == "Bearer sk-test-0123456789"
    admin.well("POST", "/configs/models/rollback")
    until([gateway, second], "models", 1)
    wait_until(lambda: second.metric("parley_configuration_refused", type="models") == 0)
    second.kill()
    assert second.run("check").stdout.count("configured by version 1") == 2


def test_without_redis_it_is_found_by_looking(world, other):
    gateway = admin_gateway(world, telegram="webhook", redis={"url": "redis://127.0.0.1:1"}, gateway=SECRETS).start()
    world.hook(gateway)
    put(admin_of(world, gateway), "models", [model(other, "test")])
    until([gateway], "models", 1, 10)
    assert say(world, world.bot.person(7), "hello") == "echo: hello"
    assert len(other.asks) == 1


def test_routes_chat_and_budgets(world, gateway, admin, other):
    alice = world.bot.person(7)
    put(admin, "models", [model(other, "late", input_price="1000", output_price="1000", max_tokens=100),
                          model(world.model, "test", input_price="1000", output_price="1000", max_tokens=100)])
    put(admin, "routes", [{"name": "safe", "models": ["late", "test"]}])
    put(admin, "chat", {"model": "safe", "system_prompt": "Talk like a pirate."})
    until([gateway], "chat", 1)
    assert say(world, alice, "hello") == "echo: hello"
    assert other.asks[0].body["messages"][0]["content"].startswith("Talk like a pirate.")
    assert "by the route safe" in say(world, alice, "/why")
    assert "routes version 1" in say(world, alice, "/why")
    assert "safe" in admin.refused(422, "POST", "/configs", {"type": "routes", "content": [{"name": "x", "models": ["test"]}]})["detail"]
    assert "safe" in admin.refused(422, "POST", "/configs/routes/deactivate")["detail"], "chat asks by it"
    put(admin, "budgets", [{"for": "person", "day": "0.01"}])
    until([gateway], "budgets", 1)
    assert "used up" in say(world, alice, "once more")


def test_a_restart_begins_with_what_is_active_and_sighup_reads_the_file(world, gateway, admin, other):
    alice = world.bot.person(7)
    put(admin, "models", [model(other, "late")])
    until([gateway], "models", 1)
    gateway.kill()
    gateway.start()
    assert in_force(gateway, "models") == 1
    say(world, alice, "/model late")
    assert say(world, alice, "hello") == "echo: hello"
    assert len(other.asks) == 1

    gateway.settings["models"].append(model(other, "filed"))
    gateway.write_conf()
    gateway.signal(signal.SIGHUP)
    gateway.wait_log("reloaded")
    listed = say(world, alice, "/models")
    assert all(name in listed for name in ("test", "filed", "late")), listed
    gateway.settings["routes"] = [{"name": "r", "models": ["nobody"]}]
    gateway.write_conf()
    gateway.signal(signal.SIGHUP)
    gateway.wait_log("not reloaded.*nobody")
    assert say(world, alice, "and now?") == "echo: and now?"


def test_by_hand_in_the_database(world, gateway, other):
    """Whoever knows SQL needs no API; a type of a newer program is none of our business."""
    world.sql("INSERT INTO configurations (id, config_type, version, content, created_by, is_active) VALUES "
              "(uuid_v7(), 'council', 1, '{}', 'me', true), (uuid_v7(), 'chat', 1, '{\"queue\": \"sometimes\"}', 'me', true)")
    world.redis.publish("parley:config", "chat")
    gateway.wait_log(r"cannot be applied here.*type=chat version=1.*chat\.queue.*wait, merge, interrupt")
    stays(lambda: in_force(gateway, "chat") == 0, 0.1)
