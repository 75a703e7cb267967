"""The official clients `@slack/web-api` and `@slack/socket-mode`, and the verifier of `@slack/bolt`, drive the fake
Slack: what they cannot work with is a misreading of ours."""
import json
import time

import pytest

from fakes.slack import FakeSlack, Fault
from fakes.slack_socket import sign
from harness.peer import Peer
from harness.wait import stays, wait_until


class Client(Peer):
    def __init__(self, slack, team):
        self.events = []
        super().__init__("slackjs_peer.mjs", slack.api_url, team.token, slack.app_token)

    def heard(self, message):
        self.events.append(message)

    def of(self, event):
        return [e for e in self.events if e["event"] == event]

    def call(self, method, **args):
        return self.do("call", method=method, args=args)

    def connect(self, **more):
        answer = self.do("connect", **more)
        assert "result" in answer, answer
        wait_until(lambda: self.of("connected"))


@pytest.fixture
def slack():
    server = FakeSlack().start()
    yield server
    server.stop()


@pytest.fixture
def team(slack):
    return slack.add_team()


@pytest.fixture
def channel(team):
    return team.channel()


@pytest.fixture
def client(slack, team):
    one = Client(slack, team)
    yield one
    one.end()


# --- Socket Mode -----------------------------------------------------------------------------------------------

def test_hello_and_acknowledgement(slack, team, channel, client):
    client.connect()
    slack.say(channel, "U1", f"<@{team.bot_user}> hi")
    wait_until(lambda: len(client.of("envelope")) == 2)
    types = {e["body"]["event"]["type"] for e in client.of("envelope")}
    assert types == {"message", "app_mention"}
    assert len({e["body"]["event_id"] for e in client.of("envelope")}) == 2
    assert len({e["body"]["event"]["ts"] for e in client.of("envelope")}) == 1
    wait_until(lambda: len(slack.acks) == 2)


def test_every_kind_of_envelope(slack, team, channel, client):
    client.connect(ack="payload")
    slack.slash(channel, "U1", "help")
    wait_until(lambda: [e["type"] for e in client.of("envelope")] == ["slash_commands"])
    message = slack.call(lambda: channel.add(user=team.bot_user, blocks=[
        {"type": "actions", "elements": [{"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}}]}]))
    slack.press(channel, "U1", message, "go")
    wait_until(lambda: [e["type"] for e in client.of("envelope")] == ["slash_commands", "interactive"])
    wait_until(lambda: list(slack.acks.values()) == [{"text": "ok"}] * 2)
    assert client.of("envelope")[1]["body"]["actions"][0]["action_id"] == "go"


def test_an_envelope_without_acknowledgement_comes_again(slack, channel, client):
    slack.ack_seconds = 0.3
    client.connect(ack="never")
    slack.say(channel, "U1", "hi")
    wait_until(lambda: len(client.of("envelope")) == 4)
    retries = client.of("envelope")
    assert len({e["envelope"] for e in retries}) == 1 and retries[-1]["retry"] == 3 and retries[-1]["reason"] == "timeout"


@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
def test_a_refresh(slack, channel, client, reason):
    client.connect()
    slack.disconnect(reason)
    wait_until(lambda: slack.greeted == 2 and len(slack.sockets) == 1, 30, "a new connection")
    slack.say(channel, "U1", "hi")
    wait_until(lambda: client.of("envelope"))


def test_too_many_connections(slack, client):
    slack.sockets_max = 0
    client.begin("connect")
    wait_until(lambda: slack.too_many >= 1, what="it was told")
    stays(lambda: not slack.sockets)


def test_a_connection_that_drops(slack, channel, client):
    client.connect()
    slack.drop_sockets()
    wait_until(lambda: slack.greeted == 2, 30, "a new connection")


# --- the Web API -----------------------------------------------------------------------------------------------

def test_messages(slack, team, channel, client):
    me = client.call("auth.test")["result"]
    assert (me["team_id"], me["user_id"], me["bot_id"]) == (team.id, team.bot_user, team.bot_id)
    marker = {"event_type": "parley_delivery", "event_payload": {"id": "x"}}
    blocks = [{"type": "markdown", "text": "# hi"}, {"type": "section", "text": {"type": "mrkdwn", "text": "*hi*"}}]
    posted = client.call("chat.postMessage", channel=channel.id, text="hi", blocks=blocks, metadata=marker)["result"]
    assert isinstance(posted["ts"], str) and posted["channel"] == channel.id
    reply = client.call("chat.postMessage", channel=channel.id, text="under it", thread_ts=posted["ts"])["result"]
    found = client.call("conversations.replies", channel=channel.id, ts=posted["ts"], include_all_metadata=True)["result"]["messages"]
    assert [m["ts"] for m in found] == [posted["ts"], reply["ts"]] and found[0]["metadata"] == marker
    assert "metadata" not in client.call("conversations.history", channel=channel.id)["result"]["messages"][0]
    assert client.call("chat.update", channel=channel.id, ts=posted["ts"], text="new")["result"]["text"] == "new"
    assert client.call("reactions.add", channel=channel.id, timestamp=posted["ts"], name="eyes")["result"]["ok"]
    assert client.call("reactions.add", channel=channel.id, timestamp=posted["ts"], name="eyes")["error"] == "already_reacted"
    assert client.call("reactions.remove", channel=channel.id, timestamp=posted["ts"], name="eyes")["result"]["ok"]
    assert client.call("assistant.threads.setStatus", channel_id=channel.id, thread_ts=posted["ts"], status="thinks")["result"]["ok"]
    assert client.call("chat.postEphemeral", channel=channel.id, user="U1", text="psst")["result"]["message_ts"]
    assert client.call("chat.delete", channel=channel.id, ts=posted["ts"])["result"]["ok"]


def test_streams(slack, channel, client):
    root = client.call("chat.postMessage", channel=channel.id, text="root")["result"]["ts"]
    to = {"recipient_user_id": "U1", "recipient_team_id": "T1"}
    ts = client.call("chat.startStream", channel=channel.id, thread_ts=root, markdown_text="a ", **to)["result"]["ts"]
    assert client.call("chat.update", channel=channel.id, ts=ts, text="x")["error"] == "streaming_state_conflict"
    assert client.call("chat.appendStream", channel=channel.id, ts=ts, markdown_text="b")["result"]["ok"]
    done = client.call("chat.stopStream", channel=channel.id, ts=ts, markdown_text=" c")["result"]
    assert done["message"]["text"] == "a b c"
    assert client.call("chat.appendStream", channel=channel.id, ts=ts, markdown_text="d")["error"] == "message_not_in_streaming_state"
    assert client.call("chat.startStream", channel=channel.id, thread_ts=root)["error"] == "missing_recipient_user_id"


@pytest.mark.parametrize("method, args, error", [
    ("chat.postMessage", {"text": "x"}, "invalid_arguments"),
    ("chat.postMessage", {"channel": "C404", "text": "x"}, "channel_not_found"),
    ("chat.postMessage", {"text": "", "channel": "here"}, "no_text"),
    ("chat.postMessage", {"text": "x", "channel": "here", "thread_ts": "1.000001"}, "thread_not_found"),
    ("chat.postMessage", {"text": "x", "channel": "here", "markdown_text": "y"}, "markdown_text_conflict"),
    ("chat.postMessage", {"text": "x", "channel": "here", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "y" * 3001}}]}, "invalid_blocks"),
    ("chat.update", {"text": "x" * 4001, "channel": "here", "ts": "1.000001"}, "message_not_found"),
    ("nonsense.method", {}, "unknown_method"),
])
def test_errors(channel, client, method, args, error):
    if args.get("channel") == "here":
        args = {**args, "channel": channel.id}
    assert client.call(method, **args)["error"] == error


def test_a_limit_is_waited_for(slack, channel, client):
    slack.inject("chat.postMessage", Fault(slack.limited("chat.postMessage", 1)))
    began = time.monotonic()
    assert client.call("chat.postMessage", channel=channel.id, text="x")["result"]["ok"]
    assert time.monotonic() - began >= 0.8 and client.of("limited")[0]["seconds"] == 1
    assert slack.called_while_blocked == 0


# --- signatures ------------------------------------------------------------------------------------------------

def test_signatures_are_accepted_by_theirs(slack, client):
    now = int(time.time())
    body = json.dumps({"type": "event_callback"})
    good = {"secret": slack.signing_secret, "body": body, "stamp": now, "signature": sign(slack.signing_secret, str(now), body.encode())}
    assert client.do("verify", **good).get("result") is True
    assert "error" in client.do("verify", **{**good, "body": body + " "})
    assert "error" in client.do("verify", **{**good, "secret": "another"})
    old = now - 301
    assert "error" in client.do("verify", **{**good, "stamp": old, "signature": sign(slack.signing_secret, str(old), body.encode())})
