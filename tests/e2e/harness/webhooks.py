"""Senders of webhooks: GitHub, whoever speaks Standard Webhooks, and programs with an API key."""
import hashlib
import hmac
import itertools
import json
import time

from .peer import Peer


class StandardWebhooks(Peer):
    """The library of https://www.standardwebhooks.com."""

    def __init__(self):
        super().__init__("webhook_peer.mjs")

    def sign(self, secret, name, at, body):
        answer = self.do("sign", **{"with": {"secret": secret, "id": name, "at": at, "body": body}})
        assert "error" not in answer, answer
        return answer["result"]

    def heard(self, message):
        raise AssertionError(message)


class Sender:
    """One program that posts to one hook of one gateway."""
    numbers = itertools.count(1)

    def __init__(self, gateway, name, secret=""):
        self.gateway, self.path, self.secret = gateway, f"/hooks/{name}", secret

    def body(self, payload):
        return payload if isinstance(payload, bytes) else json.dumps(payload).encode()

    def github(self, event, payload, delivery=None, secret=None, **headers):
        body = self.body(payload)
        mac = hmac.new((secret or self.secret).encode(), body, hashlib.sha256).hexdigest()
        return self.gateway.post(self.path, body, {
            "Content-Type": "application/json", "X-GitHub-Event": event, "X-Hub-Signature-256": f"sha256={mac}",
            "X-GitHub-Delivery": delivery or f"delivery-{next(self.numbers)}", **headers})

    def standard(self, library, payload, name=None, secrets=(), at=None):
        body, at = self.body(payload), int(at or time.time())
        name = name or f"msg_{next(self.numbers)}"
        signatures = [library.sign(secret, name, at, body.decode()) for secret in secrets or [self.secret]]
        return self.gateway.post(self.path, body, {"Content-Type": "application/json", "webhook-id": name,
                                                   "webhook-timestamp": str(at), "webhook-signature": " ".join(signatures)})

    def keyed(self, key, payload, once=None):
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        if once:
            headers["Idempotency-Key"] = once
        return self.gateway.post(self.path, self.body(payload), headers)
