"""Experiments: who gets which variant, how it fares, and what ends one."""
import itertools

import pytest

from harness.admin import admin_gateway, admin_of
from harness.wait import wait_until
from test_commands import say


@pytest.fixture
def lab(world):
    return Lab(world)


class Lab:
    """Two models behind one server, `first` is the default; a gateway with an admin; as many people as a test wants."""

    def __init__(self, world):
        self.world = world
        self.numbers = itertools.count(100)
        self.gateway = self.start()
        self.admin = admin_of(world, self.gateway)

    def start(self):
        models = [{"name": name, "type": "openai", "base_url": self.world.model.base, "api_key": "env:MODEL_KEY",
                   "model": f"real-{name}", "tries": 1} for name in ("first", "second")]
        gateway = admin_gateway(self.world, telegram="webhook", models=models).start()
        self.world.hook(gateway)
        return gateway

    def run(self, name="x", second=None, **more):
        """An experiment that runs in all processes: `a` is the control, `b` changes `second`."""
        variants = [{"name": "a", "weight": 1}, {"name": "b", "weight": 1, **(second or {"model": "second"})}]
        made = self.admin.well("POST", "/experiments", {"name": name, "variants": variants, **more})
        self.admin.well("POST", f"/experiments/{name}/start", If_Match=f'"{made["version"]}"')
        self.wait_running(1)

    def wait_running(self, n):
        for gateway in self.world.gateways:
            if gateway.running:
                wait_until(lambda: gateway.metric("parley_experiments_running") == n, what=f"{n} run in {gateway.folder.name}")

    def person(self):
        return self.world.bot.person(next(self.numbers))

    def ask(self, person, text="hello"):
        """The name of the model that was asked."""
        n = len(self.world.model.asks)
        say(self.world, person, text)
        assert len(self.world.model.asks) == n + 1
        return self.world.model.asks[n].body["model"]

    def of_each(self, n=1):
        """People until so many have each variant: {model: [person, ...]}."""
        people = {"real-first": [], "real-second": []}
        while any(len(found) < n for found in people.values()):
            person = self.person()
            people[self.ask(person)].append(person)
        return people

    def fails(self, model):
        async def behave(request, ask):
            if ask.body["model"] == model:
                return await self.world.model.broken(400)(request, ask)
            return await self.world.model.stream([f"well: {ask.last}"])(request, ask)
        self.world.model.on("", behave)


def test_a_conversation_keeps_its_variant_in_all_processes_and_whatever_the_weights(world, lab):
    lab.run()
    models = {person.id: model for model, found in lab.of_each(2).items() for person in found}
    people = {person.id: person for person in map(world.bot.person, models)}

    def same_as_before():
        return {n: lab.ask(person, "and now?") for n, person in people.items()} == models

    other = lab.start()
    assert same_as_before(), "in another process"
    for weights in ((10000, 1), (1, 10000)):
        variants = [{"name": "a", "weight": weights[0]}, {"name": "b", "weight": weights[1], "model": "second"}]
        lab.admin.well("PATCH", "/experiments/x", {"variants": variants})
    assert same_as_before(), "with other weights"
    other.stop()
    other.start()
    assert same_as_before(), "after a restart"
    assert {lab.ask(lab.person()) for _ in range(3)} == {"real-second"}, "who comes now"

    used = dict(world.sql("SELECT c.place_channel, string_agg(DISTINCT e.variant, ' ') FROM experiment_exposures e JOIN requests r ON"
                          " r.id = e.request_id JOIN conversations c ON c.id = r.conversation_id GROUP BY 1"))
    assert {n: used[str(n)] for n in models} == {n: {"real-first": "a", "real-second": "b"}[m] for n, m in models.items()}
    person = next(people[n] for n in models if models[n] == "real-second")
    assert "the experiment x gave it the variant b" in say(world, person, "/why")


def test_who_chose_a_model_is_left_alone_and_a_stopped_one_is_over(world, lab):
    lab.run()
    person = lab.of_each()["real-second"][0]
    n = world.one("SELECT count(*) FROM experiment_exposures")
    say(world, person, "/model first")
    assert lab.ask(person) == "real-first"
    assert world.one("SELECT count(*) FROM experiment_exposures") == n
    assert "experiment" not in say(world, person, "/why")
    say(world, person, "/model default")
    assert lab.ask(person) == "real-second"
    assert world.redis.hget("ab_test:x", "status") in ("running", b"running")
    stopped = lab.admin.well("POST", "/experiments/x/stop", {"winner": "b"})
    assert (stopped["status"], stopped["winner"], stopped["reason"]) == ("stopped", "b", "")
    lab.wait_running(0)
    assert lab.ask(person) == "real-first"
    results = lab.admin.well("GET", "/experiments/x/results")
    assert [arm["variant"] for arm in results["arms"]] == ["a", "b"]
    assert sum(arm["answers"] for arm in results["arms"]) == n + 1
    assert results["arms"][1]["metrics"]["latency_ms"]["value"] > 0


def test_a_prompt_is_tried_on_people(world, lab):
    lab.run(second={"prompt": "Be brief.", "flags": {"streaming": False}}, unit="person")
    briefly = set()
    while len(briefly) < 2:
        person = lab.person()
        heard = set()
        for text in ("hello", "/new", "again"):
            if text == "/new":
                say(world, person, text)
            else:
                lab.ask(person, text)
                heard.add("Be brief." in [m["content"] for m in world.model.asks[-1].body["messages"] if m["role"] == "system"])
        assert len(heard) == 1, "the same in both conversations"
        briefly |= heard
    assert world.one("SELECT count(*) FROM experiment_assignments WHERE user_id IS NOT NULL") > 1


def test_a_variant_that_fails_is_ended(world, lab):
    lab.fails("real-second")
    lab.run(stop_rule={"min_units": 10})
    second = lab.start()
    poor = lab.of_each(10)["real-second"][0]
    wait_until(lambda: lab.admin.well("GET", "/experiments/x")["status"] == "stopped")
    lab.wait_running(0)
    ended = lab.admin.well("GET", "/experiments/x")
    assert ended["winner"] == "a" and ended["reason"].startswith("failures: 1.0000 of b against 0.0000 of the control")
    for gateway in (lab.gateway, second):
        world.hook(gateway)
        assert lab.ask(poor) == "real-first"
    line = lab.admin.well("GET", "/audit?event_type=experiment.stopped")["items"][0]
    assert (line["actor"], line["resource_id"], line["new_values"]["status"]) == ("parley", "x", "stopped")
    said = [g for g in (lab.gateway, second) if g.logged(r"a variant is clearly worse.*experiment=x variant=b")]
    assert len(said) == 1, "one process ends it, and says so"
    failures = lab.admin.well("GET", "/experiments/x/results")["arms"][1]["metrics"]["failures"]
    assert failures["value"] == 1 and failures["difference_low"] > 0.5


def variants(*others):
    return {"name": "x", "variants": [{"name": "a", "weight": 1}, *others]}


def second(**more):
    return variants({"name": "b", "weight": 1, **more})


BAD_INPUT = [
    ("POST", "/experiments", {"name": "x"}, 422, "variants", "missing"),
    ("POST", "/experiments", variants(), 422, "variants", "2 to 10"),
    ("POST", "/experiments", {"name": "x", "variants": "a, b"}, 422, "variants", "2 to 10"),
    ("POST", "/experiments", second(weight=0, model="second"), 422, "variants", "weight"),
    ("POST", "/experiments", second(weight=-5, model="second"), 422, "variants", "weight"),
    ("POST", "/experiments", second(model="third"), 422, "variants", 'no model or route is named "third"'),
    ("POST", "/experiments", second(flags={"model": "third"}), 422, "variants", 'no model or route is named "third"'),
    ("POST", "/experiments", second(model=7), 422, "variants", "model is a text"),
    ("POST", "/experiments", second(flags={"nonsense": True}), 422, "variants", "no flag named nonsense"),
    ("POST", "/experiments", second(flags={"streaming": "yes"}), 422, "variants", "streaming is a boolean"),
    ("POST", "/experiments", second(flags={"votes": False}), 422, "variants", "votes"),
    ("POST", "/experiments", {**second(model="second"), "name": "X Y"}, 422, "name", "a-z"),
    ("POST", "/experiments", {**second(model="second"), "unit": "place"}, 422, "unit", "person"),
    ("POST", "/experiments", {**second(model="second"), "stop_rule": {"alpha": 1}}, 422, "stop_rule", "alpha"),
    ("GET", "/experiments/nobody", None, 404, None, "no such"),
    ("GET", "/experiments/nobody/results", None, 404, None, "no such"),
    ("POST", "/experiments/nobody/start", {}, 404, "name", "no such"),
    ("GET", "/experiments?status=lost", None, 422, "status", "draft"),
]


def test_bad_input_is_named(lab):
    for method, path, body, status, field, words in BAD_INPUT:
        problem = lab.admin.refused(status, method, path, body)
        assert problem.get("field") == field, (path, body, problem)
        assert words in problem["detail"], (path, body, problem)
    assert lab.admin.well("GET", "/experiments")["items"] == []


def test_two_admins_and_two_experiments_do_not_undo_each_other(world, lab):
    made = lab.admin.ask("POST", "/experiments", second(model="second"))
    assert made.status == 201 and made.headers["ETag"] == '"1"'
    lab.admin.well("PATCH", "/experiments/x", {"description": "anna's"}, If_Match='"1"')
    problem = lab.admin.refused(412, "PATCH", "/experiments/x", {"description": "bert's"}, If_Match='"1"')
    assert "version 2" in problem["detail"]
    lab.admin.well("POST", "/experiments/x/start", If_Match='"2"')
    lab.admin.refused(409, "POST", "/experiments/x/start")
    lab.admin.well("POST", "/experiments", {**second(model="first"), "name": "y"})
    assert "x is running" in lab.admin.refused(409, "POST", "/experiments/y/start")["detail"]
    lines = lab.admin.well("GET", "/audit?resource_type=experiment&resource_id=x")["items"]
    assert [line["event_type"] for line in lines] == ["experiment.started", "experiment.changed", "experiment.created"]
    assert lines[1]["new_values"]["description"] == "anna's"
    reader = admin_of(world, lab.gateway, permissions=["experiments:read"])
    assert reader.well("GET", "/experiments?status=running")["items"][0]["name"] == "x"
    reader.refused(403, "POST", "/experiments/x/stop")
