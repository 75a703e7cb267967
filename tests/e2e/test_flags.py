"""Feature flags: an admin switches a behaviour, and every process obeys."""
import pytest

from fakes.mcp import FakeMcp
from harness.admin import admin_gateway, admin_of
from harness.servers import ROOT
from harness.wait import wait_until
from test_commands import say

PRICES = {"input_price": "1000", "output_price": "1000"}


class Switches:
    """Flags by the admin API of one gateway; each change is waited for there."""

    def __init__(self, admin):
        self.admin = admin

    def _wait(self, flag):
        state = self.admin.well("GET", f"/flags/{flag['name']}")
        assert state["version"] == flag["version"]
        wait_until(lambda: self.revision(flag["name"]) >= self.latest(), 15, f"{flag['name']} is in force")
        return flag

    def latest(self):
        return self.world.one("SELECT revision FROM flags_state")

    def revision(self, name):
        return self.admin.well("GET", f"/flags/{name}/value")["revision"]

    def set(self, name, value):
        return self._wait(self.admin.well("PUT", f"/flags/{name}", {"value": value}))

    def kill(self, name):
        return self._wait(self.admin.well("POST", f"/flags/{name}/kill"))

    def revive(self, name):
        return self._wait(self.admin.well("POST", f"/flags/{name}/revive"))

    def rule(self, name, value, **about):
        return self._wait(self.admin.well("POST", f"/flags/{name}/rules", {"value": value, **about}))

    def reset(self, name):
        return self._wait(self.admin.well("DELETE", f"/flags/{name}"))


def switches_of(world, gateway):
    switches = Switches(admin_of(world, gateway))
    switches.world = world
    return switches


def serve(world, sees=False, **sections):
    """A gateway with Telegram and the admin API, and the flags in it."""
    gateway = admin_gateway(world, telegram="webhook", **sections)
    if sees:
        gateway.settings["models"][0]["sees"] = True
    gateway.start()
    world.hook(gateway)
    return switches_of(world, gateway)


def person_id(world):
    return str(world.one("SELECT user_id FROM identities WHERE channel_user_id = '7'"))


OFF = "I do not answer questions at the moment"


# --- how a change arrives ------------------------------------------------------------------------------------------

def test_a_change_through_one_process_is_obeyed_by_the_other_at_once(world):
    first, second = [admin_gateway(world, telegram="webhook").start() for _ in range(2)]
    switches = switches_of(world, first)
    world.hook(second)
    alice = world.bot.person(7)
    assert say(world, alice, "hello") == "echo: hello"
    for value, answer in ((False, OFF), (True, "echo: ")):
        pushed = second.metric("parley_flags_loads_total", cause="push")
        switches.set("answers", value)
        wait_until(lambda: second.metric("parley_flags_loads_total", cause="push") > pushed, 5, "it was told")
        assert say(world, alice, f"now {value}").startswith(answer)
    assert second.metric("parley_flags_loads_total", cause="poll") <= 1, "at its start"


def test_what_nobody_was_told_is_found_by_polling(world, tmp_path):
    """A lost message, and a process whose Redis is away."""
    gateways = [world.gateway().start(), world.gateway(redis={"url": f"unix://{tmp_path}/nobody.sock"}).start()]
    alice = world.bot.person(7)
    world.sql("""SELECT admin_flags_set('{"name": "somebody"}', '{"name": "answers", "value": false}')""")
    revision = world.one("SELECT revision FROM flags_state")
    for gateway in gateways:
        wait_until(lambda g=gateway: g.metric("parley_flags_revision") == revision, 10)
        world.hook(gateway)
        assert say(world, alice, "hello").startswith(OFF)


def test_a_start_with_a_flag_that_is_set(world):
    """Not one message is answered before the flags are known."""
    world.sql("""INSERT INTO flag_registry (name, type, help, reach, program) VALUES ('answers', 'boolean', '', 'anybody', '0.0.0')""")
    world.sql("""SELECT admin_flags_kill('{}', '{"name": "answers"}')""")
    world.serve()
    assert say(world, world.bot.person(7), "hello").startswith(OFF)


# --- the API -------------------------------------------------------------------------------------------------------

def test_the_operations(world):
    switches = serve(world)
    admin = switches.admin
    alice = world.bot.person(7)
    say(world, alice, "hello")
    flags = admin.well("GET", "/flags?limit=200")["items"]
    assert [f["name"] for f in flags] == sorted(f["name"] for f in flags) and {"streaming", "votes"} <= {f["name"] for f in flags}
    one = admin.ask("GET", "/flags/streaming")
    assert one.headers["ETag"] == '"0"' and one.json["value"] is None and one.json["default"] is True
    assert admin.refused(404, "GET", "/flags/no_such")
    assert admin.refused(404, "PUT", "/flags/no_such", {"value": True})["field"] == "name"
    assert admin.refused(422, "PUT", "/flags/streaming", {"value": "off"})["field"] == "value"
    assert admin.refused(422, "POST", "/flags/streaming/rules", {"value": False, "percent": 150})["field"] == "percent"
    assert admin.refused(422, "POST", "/flags/streaming/rules", {"value": False, "percent": 0.001})["field"] == "percent"
    switches.set("streaming", False)
    assert admin.refused(412, "PUT", "/flags/streaming", {"value": True}, If_Match='"0"')["field"] == "if_match"
    rule = switches.rule("streaming", True, person=person_id(world), channel_type="telegram")["rules"][0]
    switches.rule("streaming", True, percent=30)
    value = admin.well("GET", f"/flags/streaming/value?channel=support&person={person_id(world)}")
    assert (value["value"], value["by"], value["rule"]) == (True, "person", rule["id"])
    assert admin.well("GET", f"/flags/streaming/value?channel=web&person={person_id(world)}")["by"] != "person"
    assert admin.refused(422, "GET", "/flags/streaming/value?person=01890000-0000-7000-8000-00000000000a")["field"] == "person"
    changed = admin.well("PATCH", f"/flags/streaming/rules/{rule['id']}", {"ends_at": "2001-01-01T00:00:00Z"})
    assert changed["rules"][0]["ends_at"].startswith("2001")
    dropped = admin.well("DELETE", f"/flags/streaming/rules/{rule['id']}")
    assert [r["percent"] for r in dropped["rules"]] == [30]
    assert switches.reset("streaming")["rules"] == []
    events = [line["event_type"] for line in admin.well("GET", "/audit?resource_type=flag&limit=200")["items"]]
    assert events[::-1] == ["flag.changed", "flag.rule_added", "flag.rule_added", "flag.rule_changed", "flag.rule_dropped", "flag.reset"]


def test_the_kill_switch_goes_before_everything(world):
    switches = serve(world)
    alice = world.bot.person(7)
    say(world, alice, "hello")
    switches.rule("answers", True, person=person_id(world))
    switches.kill("answers")
    assert say(world, alice, "one").startswith(OFF)
    switches.revive("answers")
    assert say(world, alice, "two") == "echo: two"
    switches.rule("answers", False, channel="support")
    assert say(world, alice, "three") == "echo: three", "the person's rule is more specific"


# --- what each flag does -------------------------------------------------------------------------------------------

def test_streaming_and_typing(world):
    switches = serve(world, chat={"preview_after": "0s"})
    alice = world.bot.person(7)
    world.model.on("slow", world.model.stream(["one ", "two ", "three"], pause=0.4))
    say(world, alice, "slow")
    edits, typing = len(world.bot.calls_of("editMessageText")), len(world.bot.calls_of("sendChatAction"))
    assert edits > 0 and typing > 0
    switches.set("streaming", False)
    switches.set("typing", False)
    assert say(world, alice, "slow again") == "one two three"
    assert len(world.bot.calls_of("editMessageText")) == edits and len(world.bot.calls_of("sendChatAction")) == typing
    why = say(world, alice, "/why")
    assert "flags: " in why and "streaming is off (global)" in why and "typing is off (global)" in why, why


def test_votes(world):
    switches = serve(world)
    alice = world.bot.person(7)
    say(world, alice, "hello")
    assert world.bot.messages(alice)[-1].buttons == ["parley:regenerate", "parley:up", "parley:down"]
    switches.rule("votes", False, channel="support")
    world.bot.press(alice, world.bot.messages(alice)[-1], "parley:up")
    say(world, alice, "more")
    assert world.bot.messages(alice)[-1].buttons == ["parley:regenerate"]
    assert world.sql("SELECT * FROM feedback") == []
    gateway = world.gateways[0]
    switches.set("votes", False)
    session = gateway.request("POST", "/session", b"", {"Origin": gateway.url})
    assert session.json["votes"] is False


def test_commands(world):
    switches = serve(world)
    alice = world.bot.person(7)
    switches.rule("enable_slash_commands", False, channel_type="telegram")
    assert "switched off" in say(world, alice, "/status")
    assert "switched off" in say(world, alice, "/nonsense")
    told = say(world, alice, "/help")
    assert "/new" in told and "/forget" in told and "/status" not in told
    assert "new conversation" in say(world, alice, "/new")
    assert not world.model.asks


def test_a_conversation_has_a_length_and_people_a_rate(world):
    switches = serve(world)
    alice = world.bot.person(7)
    switches.set("max_conversation_length", 2)
    assert say(world, alice, "one") == "echo: one"
    told = say(world, alice, "two")
    assert "has 2 messages" in told and "/new" in told
    say(world, alice, "/new")
    assert say(world, alice, "three") == "echo: three"
    switches.reset("max_conversation_length")
    switches.rule("rate_per_minute", 1, person=person_id(world))
    say(world, alice, "four")
    assert "faster than I may answer" in say(world, alice, "five")


def test_model_and_system_prompt(world):
    models = [{"name": name, "type": "openai", "base_url": world.model.base, "api_key": "env:MODEL_KEY", "model": f"real-{name}"}
              for name in ("first", "second")]
    switches = serve(world, models=models)
    alice = world.bot.person(7)
    switches.set("model", "second")
    switches.set("system_prompt", "Speak like a pirate.")
    say(world, alice, "hello")
    assert world.model.asks[-1].body["model"] == "real-second"
    assert world.model.asks[-1].body["messages"][0]["content"] == "Speak like a pirate."
    why = say(world, alice, "/why")
    assert "system_prompt is set (global)" in why and "pirate" not in why
    say(world, alice, "/model first")
    say(world, alice, "hello")
    assert world.model.asks[-1].body["model"] == "real-first", "what they chose goes before"
    switches.set("model", "no such model")
    say(world, alice, "/model default")
    assert say(world, alice, "hello") == "echo: hello"
    assert world.model.asks[-1].body["model"] == "real-first"


def test_cache_and_compaction(world):
    switches = serve(world, chat={"history_messages": 8})
    alice = world.bot.person(7)
    world.model.on("You: echo:", world.model.plain("- notes"))
    switches.set("response_cache", "person")
    say(world, alice, "the same")
    wait_until(lambda: world.one("SELECT count(*) FROM response_cache") == 1)
    say(world, alice, "/new")
    say(world, alice, "the same")
    assert len(world.model.asks) == 1
    switches.kill("response_cache")
    say(world, alice, "/new")
    say(world, alice, "the same")
    assert len(world.model.asks) == 2
    assert "switched off" in say(world, alice, "/compact")
    switches.set("compaction", True)
    assert ["summary" in say(world, alice, f"message {i}") for i in range(4)] == [False, False, False, True]


def test_failover_in_the_middle(world):
    models = [{"name": name, "type": "openai", "base_url": world.model.base, "api_key": "env:MODEL_KEY", "model": f"real-{name}",
               "tries": 1} for name in ("first", "second")]

    async def behave(request, ask):
        cut = world.model.stream(["Once ", "upon ", "never"], cut_after=2)
        return await (cut if ask.body["model"] == "real-first" else world.model.plain("whole"))(request, ask)
    world.model.on("", behave)
    switches = serve(world, models=models, routes=[{"name": "safe", "models": ["first", "second"]}])
    alice = world.bot.person(7)
    assert say(world, alice, "hello") == "whole"
    switches.set("midstream_failover", False)
    assert say(world, alice, "hello").startswith("Once upon")


def test_pictures(world):
    world.bot.files["cat"] = (b"\x89PNG\r\n\x1a\n" + bytes(256), "photos/file_1.jpg")
    switches = serve(world, sees=True)
    alice = world.bot.person(7)
    photo = [{"file_id": "cat", "file_unique_id": "cat", "width": 90, "height": 90, "file_size": 264}]
    for n, value in enumerate((True, False), 1):
        switches.set("pictures", value)
        world.bot.say(alice, None, photo=photo, caption="look")
        world.wait_settled(n)
        content = world.model.asks[-1].body["messages"][-1]["content"]
        assert isinstance(content, list) == value
    assert "pictures are switched off: 1 not shown" in content


def test_budget_alerts(world):
    models = [{"name": "test", "type": "openai", "base_url": world.model.base, "api_key": "env:MODEL_KEY", "model": "test-model",
               "context_tokens": 8000, "max_tokens": 10, **PRICES}]
    switches = serve(world, models=models, budgets=[{"for": "person", "day": "1.00"}], chat={"history_messages": 2})
    alice = world.bot.person(7)
    switches.set("budget_alerts", False)
    texts = []
    gateway = world.gateways[0]
    while not gateway.metric("parley_budget_alerts_total", percent="80") and len(texts) < 30:
        texts.append(say(world, alice, f"question {len(texts)}"))
    assert gateway.metric("parley_budget_alerts_total", percent="80") == 1 and not any("nearly" in t for t in texts)


@pytest.fixture
def mcp():
    server = FakeMcp().start()
    yield server
    server.stop()


def test_tools(world, mcp):
    switches = serve(world, tools=[{"name": "srv", "url": mcp.address, "timeout": "5s"}])
    alice = world.bot.person(7)
    say(world, alice, "hello")
    assert "srv__echo" in world.model.asks[-1].offered
    switches.set("tools", False)
    say(world, alice, "hello")
    assert not world.model.asks[-1].offered
    switches.set("tools", True)
    # killed while the model works with them: the next call is not made
    world.model.on("loop", world.model.calling([("srv__echo", {"say": "a"})], [("srv__echo", {"say": "b"})]))
    n = len(world.model.asks)
    switches.kill("tools")
    switches.revive("tools")
    say(world, alice, "loop")
    assert [len(ask.results) for ask in world.model.asks[n:]] == [0, 1, 2]


def test_a_yes_to_a_tool_that_was_switched_off_meanwhile(world, mcp):
    switches = serve(world, tools=[{"name": "srv", "url": mcp.address, "timeout": "5s", "approve": ["*"]}])
    alice = world.bot.person(7)
    world.model.on("please", world.model.calling([("srv__echo", {"say": "a"})]))
    assert "/tool yes" in say(world, alice, "please")
    switches.kill("tools")
    say(world, alice, "/tool yes")
    assert world.model.asks[-1].results[-1] == "Tools are switched off at the moment."


@pytest.mark.parametrize("section, fenced", [({}, False), ({"enable_mcp_security": True}, True)], ids=["default", "said by the configuration"])
def test_security_of_tools(world, mcp, section, fenced):
    """Off by the flag where the configuration says nothing; never against its word; a kill switch opens nothing."""
    switches = serve(world, tools=[{"name": "srv", "url": mcp.address, "timeout": "5s"}], mcp=section)
    alice = world.bot.person(7)
    world.model.on("go", world.model.calling([("srv__echo", {"say": "a"})]))

    def is_fenced():
        say(world, alice, "go")
        return world.model.asks[-1].results[-1].startswith("<tool_result")
    assert is_fenced()
    switches.set("enable_mcp_security", False)
    assert is_fenced() == fenced
    switches.kill("enable_mcp_security")
    assert is_fenced()
    assert switches.admin.refused(422, "POST", "/flags/enable_mcp_security/rules", {"value": False, "channel": "web"})["field"] == "name"


def test_security_that_comes_on_shuts_out_what_it_would_not_have_let_in(world, tmp_path):
    """A program by a bare name that is not one of the known ones."""
    starts = tmp_path / "starts"
    command = ["python3", str(ROOT / "tests/fakes/mcp_stdio.py"), str(starts), "modern"]
    switches = serve(world, tools=[{"name": "srv", "command": command}], mcp={"enable_mcp_security": False, "commands": ["npx"]})
    alice = world.bot.person(7)
    say(world, alice, "hello")
    assert "srv__echo" in world.model.asks[-1].offered
    switches.set("enable_mcp_security", True)
    say(world, alice, "hello")
    assert not world.model.asks[-1].offered and len(starts.read_text().split()) == 1
    switches.set("enable_mcp_security", False)
    say(world, alice, "hello")
    assert "srv__echo" in world.model.asks[-1].offered
    wait_until(lambda: say(world, alice, "hello") and len(starts.read_text().split()) == 2, 10, "it is begun anew: the program was ended")
