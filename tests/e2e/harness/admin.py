"""A program that uses the admin API."""
import hashlib
import hmac
import json
import secrets
import uuid

from . import openapi

SECRET = "admin-secret_0123456789"
PATH = "/admin/v1"


def key_make(world, role="admin", permissions=None, name="test", **columns):
    """A key as `parley keys create` would make it, put into the database by hand: what the program knows of it is an HMAC."""
    prefix = secrets.token_hex(4)
    text = f"parley_{prefix}_{secrets.token_hex(32)}"
    row = {"id": str(uuid.uuid4()), "key_hash": hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest(),
           "key_prefix": prefix, "name": name, "role": role, "permissions": json.dumps(permissions or ["*"]), **columns}
    world.sql(f"INSERT INTO api_keys ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})", *row.values())
    return text


class Admin:
    """
    gateway   one with settings(admin={"secret": "env:ADMIN_SECRET"}); see admin_gateway
    key       "" = without
    """

    def __init__(self, gateway, key):
        self.gateway, self.key = gateway, key

    def ask(self, method, path, body=None, **headers):
        """The answer, whatever it is, if only it is what the OpenAPI file says. headers: If_Match="3"."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        answer = self.gateway.request(method, PATH + path, body, headers)
        operation = openapi.description().find(method, path) if openapi.installed() else None
        if operation and answer.status != 413:  # too large for the server, which knows nothing of operations
            openapi.description().expect(operation, answer.status, answer.headers["Content-Type"], answer.json if answer.body else None)
        return answer

    def well(self, method, path, body=None, **headers):
        """The same, and it must be a yes: its JSON, None for a 204."""
        answer = self.ask(method, path, body, **headers)
        assert answer.status in (200, 201, 202, 204), (answer.status, answer.text)
        return answer.json if answer.body else None

    def refused(self, status, method, path, body=None, **headers):
        """The problem that the answer is."""
        answer = self.ask(method, path, body, **headers)
        assert answer.status == status, (answer.status, answer.text)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json["status"] == status
        return answer.json


def admin_gateway(world, **settings):
    """A gateway whose admin API is on, not started."""
    gateway = world.gateway(**{"telegram": None, "admin": {"secret": "env:ADMIN_SECRET"}, **settings})
    gateway.env["ADMIN_SECRET"] = SECRET
    return gateway


def admin_of(world, gateway, **key):
    return Admin(gateway, key_make(world, **key))
