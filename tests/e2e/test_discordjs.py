"""The official clients `@discordjs/ws` and `@discordjs/rest` drive the fake Discord: what they cannot work with is a
misreading of ours."""
import time

import pytest

from fakes.discord import FakeDiscord, Fault
from harness.peer import Peer
from harness.wait import stays, wait_until

INTENTS = 46593  # servers, messages and reactions there and in direct messages, their content
SEND = r"/channels/\d+/messages"


class Client(Peer):
    def __init__(self, discord, token):
        self.events = []
        super().__init__("discordjs_peer.mjs", discord.url + "/api", token)

    def heard(self, message):
        self.events.append(message)

    def call(self, method, path, body=None, **more):
        return self.do("call", method=method, path=path, body=body, **more)

    def connect(self, **more):
        self.do("connect", intents=more.pop("intents", INTENTS), **more)

    def of(self, event):
        return [e for e in self.events if e["event"] == event]

    def texts(self):
        return [e["d"]["content"] for e in self.of("dispatch") if e["t"] == "MESSAGE_CREATE"]


@pytest.fixture
def discord():
    server = FakeDiscord().start()
    server.identify_seconds = 0
    yield server
    server.stop()


@pytest.fixture
def bot(discord):
    return discord.add_bot()


@pytest.fixture
def channel(discord, bot):
    return discord.add_guild(bots=[bot]).channel("general")


@pytest.fixture
def alice(discord):
    return discord.person("alice")


@pytest.fixture
def client(discord, bot):
    one = Client(discord, bot.token)
    yield one
    one.end()


def ready(client, n=1):
    return wait_until(lambda: len(client.of("ready")) == n and client.of("ready")[-1]["data"])


# --- the gateway ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compress, split", [(False, False), (True, False), (True, True)])
def test_discordjs_is_ready_and_hears_events_in_order(discord, bot, channel, alice, client, compress, split):
    discord.split = split
    client.connect(compress=compress)
    data = ready(client)
    assert data["user"]["id"] == bot.id and data["application"]["id"] == bot.application_id
    assert data["guilds"] == [{"id": channel.guild.id, "unavailable": True}]
    for n in range(50):
        alice.say(channel, f"message {n} é 👍")
    alice.say(bot.dm(alice), "in private")
    wait_until(lambda: len(client.texts()) == 51)
    assert client.texts() == [f"message {n} é 👍" for n in range(50)] + ["in private"]
    events = client.of("dispatch")
    assert [e["t"] for e in events[:3]] == ["READY", "GUILD_CREATE", "MESSAGE_CREATE"]
    assert [e["s"] for e in events] == list(range(1, len(events) + 1))
    assert bot.identifies[0]["query"].get("compress") == ("zlib-stream" if compress else None)
    assert bot.session_limit["remaining"] == 999 and not bot.violations


def test_discordjs_beats_and_is_acknowledged(discord, bot, channel, client):
    discord.heartbeat_ms = 200
    client.connect()
    ready(client)
    wait_until(lambda: len(client.of("beat")) >= 5)
    assert bot.live[0].beats[-1][1] == 2 and not bot.violations


def test_discordjs_leaves_a_socket_that_does_not_acknowledge_and_resumes(discord, bot, channel, client):
    discord.heartbeat_ms = 300
    client.connect()
    ready(client)
    bot.gateway.no_ack()
    wait_until(lambda: client.of("resumed"))
    assert bot.sockets[0].ended == ("client", 4200) and len(bot.identifies) == 1


@pytest.mark.parametrize("how", ["op7", "drop", "close"])
def test_discordjs_resumes(discord, bot, channel, alice, client, how):
    client.connect(compress=True)
    ready(client)
    alice.say(channel, "before")
    wait_until(lambda: client.texts() == ["before"])
    {"op7": bot.gateway.op7, "drop": bot.gateway.drop, "close": lambda: bot.gateway.close(4000)}[how]()
    wait_until(lambda: bot.sockets[0].state == "over")
    assert bot.sockets[0].ended == {"op7": ("client", 4200), "drop": ("server", None), "close": ("server", 4000)}[how]
    for n in range(5):
        alice.say(channel, f"meanwhile {n}")
    wait_until(lambda: client.of("resumed"))
    alice.say(channel, "after")
    wait_until(lambda: "after" in client.texts())
    assert client.texts() == ["before"] + [f"meanwhile {n}" for n in range(5)] + ["after"]
    assert [r["path"] for r in bot.resumes] == ["/resume-gateway"] and bot.resumes[0]["seq"] == 3
    assert len(bot.identifies) == 1 and not bot.violations


def test_discordjs_identifies_anew_after_4007(bot, channel, alice, client):
    client.connect()
    ready(client)
    bot.gateway.close(4007)
    ready(client, 2)
    alice.say(channel, "in the new one")
    wait_until(lambda: client.texts() == ["in the new one"])
    assert [i["path"] for i in bot.identifies] == ["/gateway", "/gateway"] and not bot.resumes
    assert len({s.id for s in bot.sessions}) == 2 and not bot.violations


def test_discordjs_identifies_anew_when_its_session_has_ended(bot, channel, client):
    client.connect()
    ready(client)
    bot.end_sessions()
    bot.gateway.drop()
    ready(client, 2)
    assert len(bot.resumes) == 1 and len(bot.identifies) == 2


def test_discordjs_resumes_again_when_told_that_it_may(bot, channel, alice, client):
    client.connect()
    ready(client)
    bot.gateway.op9(resumable=True, at="resume")
    bot.gateway.drop()
    alice.say(channel, "meanwhile")
    wait_until(lambda: client.of("resumed"))
    assert client.texts() == ["meanwhile"] and len(bot.resumes) == 2 and len(bot.identifies) == 1


def test_discordjs_takes_a_large_server_and_drops_what_is_no_json(bot, channel, alice, client):
    client.connect()
    ready(client)
    bot.gateway.raw("this is no JSON")
    bot.gateway.huge_guild(3 << 20)
    alice.say(channel, "after it")
    wait_until(lambda: client.texts() == ["after it"])
    assert len(client.of("dispatch")[-2]["d"]["channels"][0]["topic"]) == 3 << 20


@pytest.mark.parametrize("armed", ["no_hello", "no_ready"])
def test_discordjs_gives_up_on_silence(bot, channel, client, armed):
    getattr(bot.gateway, armed)()
    client.connect(timeout=700)
    ready(client)
    assert len(bot.identifies) == (2 if armed == "no_ready" else 1)


def test_discordjs_ends_its_session_with_1000(bot, channel, client):
    client.connect()
    ready(client)
    client.do("destroy")
    wait_until(lambda: not bot.sessions[0].alive)
    assert bot.sockets[0].ended == ("client", 1000)


@pytest.mark.parametrize("why", ["intents", "token", "shards"])
def test_discordjs_stops(discord, bot, channel, client, why):
    if why == "intents":
        bot.message_content = False
    elif why == "shards":
        bot.shards_required = 2
    else:
        bot.gateway.close(4004, at="identify")
    client.connect()
    words = {"intents": "disallowed", "token": "Authentication failed", "shards": "Sharding is required"}[why]
    wait_until(lambda: any(words.lower() in e["text"].lower() for e in client.of("error")), what=words)
    stays(lambda: len(discord.sockets) == 1, seconds=1.5)
    assert client.of("closed")[-1]["code"] == {"intents": 4014, "token": 4004, "shards": 4011}[why]


def test_discordjs_has_shards_and_waits_between_them(discord, bot, client, alice):
    discord.identify_seconds = 5
    places = [discord.add_guild(f"guild {n}", [bot], shard=(n, 2)).channel("general") for n in range(2)]
    client.connect(shards=2, patient=True)
    ready(client, 2)
    for n, place in enumerate(places):
        alice.say(place, f"to shard {n}")
    alice.say(bot.dm(alice), "in private")
    wait_until(lambda: len(client.texts()) == 3)
    heard = {(e["d"]["content"], e["shard"]) for e in client.of("dispatch") if e["t"] == "MESSAGE_CREATE"}
    assert heard == {("to shard 0", 0), ("to shard 1", 1), ("in private", 0)}
    assert bot.identifies[1]["at"] - bot.identifies[0]["at"] >= 5 and not bot.violations


def test_discordjs_is_refused_an_identify_that_comes_too_early(discord, bot, channel, client):
    discord.identify_seconds = 1.0
    client.connect(shards=2)
    ready(client, 2)
    assert len(bot.identifies) > 2 and "of its bucket" in bot.violations[0]


def test_discordjs_sees_only_what_its_intents_allow(bot, channel, alice, client):
    bot.message_content = False
    client.connect(intents=13825)
    ready(client)
    alice.say(channel, "not for you", attachments=[{"filename": "a.png"}])
    alice.say(channel, "for you", mention=bot)
    alice.say(bot.dm(alice), "in private")
    client.call("POST", f"/channels/{channel.id}/messages", {"content": "our own"})
    wait_until(lambda: len(client.texts()) == 4)
    assert client.texts() == ["", f"<@{bot.id}> for you", "in private", "our own"]
    created = [e["d"] for e in client.of("dispatch") if e["t"] == "MESSAGE_CREATE"]
    assert created[0]["attachments"] == [] and created[0]["guild_id"] == channel.guild.id
    assert "guild_id" not in created[2] and created[3]["author"]["id"] == bot.id


def test_discordjs_hears_edits_deletions_and_reactions(bot, channel, alice, client):
    client.connect()
    ready(client)
    m = alice.say(channel, "first")
    alice.edit(m, "second")
    alice.react(m, "👍")
    alice.unreact(m, "👍")
    alice.delete(m)
    wait_until(lambda: len(client.of("dispatch")) == 7)
    events = client.of("dispatch")[2:]
    assert [e["t"] for e in events] == ["MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_REACTION_ADD", "MESSAGE_REACTION_REMOVE",
                                        "MESSAGE_DELETE"]
    assert events[1]["d"]["content"] == "second" and events[1]["d"]["edited_timestamp"]
    assert events[2]["d"]["emoji"] == {"id": None, "name": "👍"}
    assert {e["d"].get("message_id") or e["d"]["id"] for e in events} == {m.id}


# --- the HTTP API --------------------------------------------------------------------------------------------


def send(client, channel, text, **more):
    return client.call("POST", f"/channels/{channel.id}/messages", {"content": text, **more})


def test_discordjs_sends_edits_deletes_and_reads(bot, channel, alice, client):
    asked = alice.say(channel, "hello", mention=bot)
    row = {"type": 1, "components": [{"type": 2, "style": 2, "label": "Stop", "custom_id": "stop"}]}
    sent = send(client, channel, "one", components=[row], message_reference={"message_id": asked.id},
                allowed_mentions={"parse": [], "replied_user": False})["result"]
    assert sent["author"]["id"] == bot.id and sent["referenced_message"]["id"] == asked.id and sent["type"] == 19
    edited = client.call("PATCH", f"/channels/{channel.id}/messages/{sent['id']}",
                         {"content": "two", "components": [], "allowed_mentions": {"parse": []}})["result"]
    assert edited["content"] == "two" and edited["edited_timestamp"] and not edited["components"]
    m = channel.messages()[-1]
    assert m.edits == ["one", "two"] and m.reference is asked and channel.texts(bot) == ["two"] and not m.pinged
    assert "result" in client.call("PUT", f"/channels/{channel.id}/messages/{asked.id}/reactions/%F0%9F%91%8D/@me")
    assert asked.reactions == {"👍": [bot]}
    listed = client.call("GET", f"/channels/{channel.id}/messages?limit=1&after={asked.id}")["result"]
    assert [x["id"] for x in listed] == [sent["id"]]
    client.call("DELETE", f"/channels/{channel.id}/messages/{sent['id']}")
    gone = client.call("PATCH", f"/channels/{channel.id}/messages/{sent['id']}", {"content": "three"})
    assert (gone["status"], gone["code"]) == (404, 10008) and m.deleted and channel.texts(bot) == []
    theirs = client.call("PATCH", f"/channels/{channel.id}/messages/{asked.id}", {"content": "mine"})
    assert (theirs["status"], theirs["code"]) == (403, 50005)


def test_discordjs_pings_those_it_may(bot, channel, alice, client):
    text = f"@everyone <@{alice.id}> <@&123>"
    send(client, channel, text)
    send(client, channel, text, allowed_mentions={"parse": []})
    send(client, channel, text, allowed_mentions={"parse": [], "users": [alice.id]})
    assert [m.pinged for m in channel.messages()] == [["everyone", "&123", alice.id], [], [alice.id]]
    both = send(client, channel, text, allowed_mentions={"parse": ["users"], "users": [alice.id]})
    assert (both["status"], both["code"]) == (400, 50035)


@pytest.mark.parametrize("body, code", [
    ({"content": "x" * 2001}, 50035), ({"content": "👍" * 1001}, 50035), ({"content": " \n"}, 50006), ({}, 50006),
    ({"content": "x", "nonce": "n" * 26}, 50035),
    ({"content": "x", "message_reference": {"message_id": "1"}}, 50035),
    ({"content": "x", "components": [{"type": 1, "components": []}]}, 50035),
    ({"content": "x", "components": [{"type": 1, "components": [
        {"type": 2, "style": 1, "label": "x" * 81, "custom_id": "a"}]}]}, 50035),
])
def test_discordjs_is_refused_bodies_out_of_bounds(bot, channel, client, body, code):
    answer = client.call("POST", f"/channels/{channel.id}/messages", body)
    assert (answer["status"], answer["code"]) == (400, code) and not channel.messages()


def test_discordjs_may_repeat_a_nonce(discord, bot, channel, client):
    first = send(client, channel, "once", nonce="n1", enforce_nonce=True)["result"]
    again = send(client, channel, "once", nonce="n1", enforce_nonce=True)["result"]
    assert first["id"] == again["id"] and again["nonce"] == "n1" and channel.texts(bot) == ["once"]
    send(client, channel, "once", nonce="n2", enforce_nonce=True)
    discord.nonce_seconds = 0
    send(client, channel, "once", nonce="n1", enforce_nonce=True)
    assert channel.texts(bot) == ["once"] * 3 and not bot.violations


def test_discordjs_knows_itself_and_its_commands(bot, channel, client):
    assert client.call("GET", "/users/@me")["result"]["id"] == bot.id
    assert client.call("GET", "/applications/@me")["result"]["flags"] == 1 << 19
    assert [g["id"] for g in client.call("GET", "/users/@me/guilds?limit=200")["result"]] == [channel.guild.id]
    assert [c["id"] for c in client.call("GET", f"/guilds/{channel.guild.id}/channels")["result"]] == [channel.id]
    path = f"/applications/{bot.application_id}/commands"
    option = {"type": 3, "name": "text", "description": "What", "required": True}
    commands = [{"name": "chat", "description": "Ask", "options": [option]}]
    made = client.call("PUT", path, commands)["result"]
    assert made == client.call("GET", path)["result"] == client.call("PUT", path, commands)["result"]
    assert made[0]["options"][0]["required"] and made[0]["id"] and made[0]["version"]
    wrong = client.call("PUT", path, [{"name": "Chat", "description": "Ask"}])
    assert (wrong["status"], wrong["code"]) == (400, 50035) and bot.commands == made


def test_discordjs_waits_for_the_bucket(bot, channel, client):
    bot.limits.scale = 0.2
    began = time.monotonic()
    for n in range(11):
        send(client, channel, f"{n}")
    assert time.monotonic() - began >= 2, "5 in each second"
    assert channel.texts(bot) == [f"{n}" for n in range(11)]
    assert {c.status for c in bot.calls} == {200} and client.of("limited") and not bot.invalid_requests


@pytest.mark.parametrize("scope, counted", [("user", 1), ("shared", 0), ("global", 1)])
def test_discordjs_waits_after_a_429(discord, bot, channel, client, scope, counted):
    send(client, channel, "the limits are known")
    discord.inject("POST", SEND, Fault.too_many(0.7, scope))
    waits = client.begin("call", method="POST", path=f"/channels/{channel.id}/messages", body={"content": "late"})
    wait_until(lambda: client.of("refused"))
    began = time.monotonic()
    client.call("GET", "/users/@me")
    assert (time.monotonic() - began > 0.5) == (scope == "global"), "a global limit silences everything"
    assert waits()["result"]["content"] == "late"
    assert client.of("refused") == [{"event": "refused", "scope": scope, "after": "1"}] and bot.invalid_requests == counted
    calls = bot.calls_of("POST")
    assert [c.status for c in calls] == [200, 429, 200] and calls[2].at - calls[1].at >= 0.7


def test_discordjs_is_held_to_fifty_a_second(bot, channel, client):
    bot.limits.everyone = 3
    waits = [client.begin("call", method="GET", path=path) for path in (
        "/users/@me", "/gateway/bot", "/applications/@me", "/users/@me/guilds", f"/channels/{channel.id}")]
    assert all("result" in wait() for wait in waits)
    assert {e["scope"] for e in client.of("refused")} == {"global"} and client.of("limited")[0]["global"]


def test_discordjs_sees_what_goes_wrong(discord, bot, channel, client):
    discord.inject("POST", SEND, Fault("lost_after"))
    assert "lost" in send(client, channel, "sent all the same")
    discord.inject("POST", SEND, Fault("lost_before"))
    assert "lost" in send(client, channel, "never")
    discord.inject("POST", SEND, Fault("html"))
    assert "lost" in send(client, channel, "never")
    discord.inject("POST", SEND, Fault.error_of(403, 50013, "Missing Permissions"))
    assert send(client, channel, "never")["code"] == 50013
    assert channel.texts(bot) == ["sent all the same"]
    channel.hide(bot)
    assert send(client, channel, "never")["code"] == 50001
    assert client.call("GET", "/channels/1")["code"] == 10003
    assert client.call("GET", "/nothing")["status"] == 404


def test_discordjs_is_refused_with_a_wrong_token(discord, bot):
    other = Client(discord, "wrong")
    try:
        assert other.call("GET", "/gateway")["result"]["url"] == discord.gateway_url
        assert other.call("GET", "/users/@me")["status"] == 401 and discord.invalid_count() == 1
    finally:
        other.end()


# --- interactions --------------------------------------------------------------------------------------------


@pytest.fixture
def chat_command(bot, client):
    option = {"type": 3, "name": "text", "description": "What", "required": True}
    command = {"name": "chat", "description": "Ask", "options": [option]}
    client.call("PUT", f"/applications/{bot.application_id}/commands", [command])


def got_interaction(client, interaction):
    events = wait_until(lambda: [e["d"] for e in client.of("dispatch") if e["t"] == "INTERACTION_CREATE"])
    assert events[-1]["id"] == interaction.id and events[-1]["token"] == interaction.token
    return events[-1]


def test_discordjs_answers_a_command_without_its_token(discord, bot, channel, alice, client, chat_command):
    client.connect()
    ready(client)
    i = alice.slash(channel, bot, "chat", text="hello")
    d = got_interaction(client, i)
    assert d["data"]["options"] == [{"type": 3, "name": "text", "value": "hello"}] and d["member"]["user"]["id"] == alice.id
    callback = f"/interactions/{d['id']}/{d['token']}/callback"
    assert "result" in client.call("POST", callback, {"type": 5}, auth=False)
    assert i.acks[0][0] == 5 and i.original().flags & 1 << 7
    assert client.call("POST", callback, {"type": 5}, auth=False)["code"] == 40060
    hook = f"/webhooks/{d['application_id']}/{d['token']}"
    assert client.call("PATCH", hook + "/messages/@original", {"content": "answer"}, auth=False)["result"]["content"] == "answer"
    client.call("POST", hook, {"content": "for you alone", "flags": 64}, auth=False)
    assert channel.texts(bot) == ["answer"] and i.followups[0].ephemeral_to is alice
    assert not any("Authorization" in c.headers for c in discord.calls if c.path.startswith(("/interactions", "/webhooks")))
    i.expire()
    dead = client.call("PATCH", hook + "/messages/@original", {"content": "late"}, auth=False)
    assert (dead["status"], dead["code"]) == (401, 50027)


def test_discordjs_is_too_late_for_an_interaction(discord, bot, channel, alice, client, chat_command):
    discord.interaction_seconds = 0.2
    i = alice.slash(channel, bot, "chat", text="hello")
    wait_until(lambda: i.failed)
    late = client.call("POST", f"/interactions/{i.id}/{i.token}/callback", {"type": 5}, auth=False)
    assert (late["status"], late["code"]) == (404, 10062)
    assert client.call("POST", f"/interactions/1/{i.token}/callback", {"type": 5}, auth=False)["code"] == 10062


def test_discordjs_takes_a_pressed_button(bot, channel, alice, client):
    client.connect()
    ready(client)
    row = {"type": 1, "components": [{"type": 2, "style": 2, "label": "Again", "custom_id": "regenerate"}]}
    send(client, channel, "an answer", components=[row])
    i = alice.press(channel.messages()[-1], "regenerate")
    d = got_interaction(client, i)
    assert d["type"] == 3 and d["data"]["custom_id"] == "regenerate" and d["message"]["content"] == "an answer"
    client.call("POST", f"/interactions/{d['id']}/{d['token']}/callback", {"type": 7, "data": {"content": "changed"}}, auth=False)
    assert channel.texts(bot) == ["changed"] and i.original() is channel.messages()[-1]


@pytest.mark.parametrize("answer", ["http", "rest"])
def test_discordjs_is_called_with_a_signature(bot, channel, alice, client, chat_command, answer):
    port = client.do("listen", key=bot.public_key, status=200 if answer == "http" else 202)["result"]
    bot.set_interactions_url(f"http://127.0.0.1:{port}/")
    i = alice.slash(channel, bot, "chat", text="hello")
    posted = wait_until(lambda: [e["body"] for e in client.of("posted") if e["body"]["type"] == 2])[0]
    assert posted["id"] == i.id and posted["data"]["name"] == "chat"
    if answer == "rest":
        client.call("POST", f"/interactions/{i.id}/{i.token}/callback", {"type": 5}, auth=False)
    wait_until(lambda: i.acks)
    assert i.acks[0][0] == 5 and i.acks[0][3] == answer
    assert bot.probe(b"{}", wrong=True)[0] == 401
    bot.set_interactions_url(None)


def test_discordjs_needs_an_endpoint_that_checks(bot, client):
    port = client.do("listen", key="00" * 32, status=200)["result"]
    with pytest.raises(AssertionError, match="could not be verified"):
        bot.set_interactions_url(f"http://127.0.0.1:{port}/")
