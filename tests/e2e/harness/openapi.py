"""The OpenAPI description of the admin API, and whether answers are what it promises, by ajv."""
import functools
import json
import re
import subprocess

from .gateway import BINARY
from .peer import MODULES, Peer


class Judge(Peer):
    """Node with a validator of OpenAPI and one of JSON Schema, both somebody else's."""

    def __init__(self):
        super().__init__("openapi_peer.mjs")

    def heard(self, message):
        raise AssertionError(f"unasked for: {message}")

    def ask(self, what, **more):
        answer = self.do(what, **more)
        assert "result" in answer, answer
        return answer["result"]


class Operation:
    def __init__(self, path, method, is_a):
        self.path, self.method, self.is_a = path, method.upper(), is_a
        self.id = is_a["operationId"]
        self.names = re.findall(r"{(\w+)}", path)
        self.scopes = [scope for way in is_a["security"] for scope in way["key"]]
        self.pattern = re.compile(re.sub(r"{\w+}", "[^/]+", path))

    def __repr__(self):
        return f"{self.id}: {self.method} {self.path}"

    def filled(self, **names):
        return re.sub(r"{(\w+)}", lambda m: str(names.get(m[1], "01900000-0000-7000-8000-000000000000")), self.path)


class Description:
    def __init__(self):
        self.text = subprocess.run([BINARY, "openapi"], check=True, text=True, capture_output=True).stdout
        self.document = json.loads(self.text)
        self.operations = [Operation(path, method, is_a) for path, methods in self.document["paths"].items() for method, is_a in methods.items()]
        self.judge = Judge()
        self.judge.ask("load", doc=self.document)

    def find(self, method, path):
        """The operation that a request means: where several paths fit, the one that names more by itself."""
        fitting = [o for o in self.operations if o.method == method and o.pattern.fullmatch(path.split("?")[0])]
        return min(fitting, key=lambda o: len(o.names), default=None)

    def expect(self, operation, status, content_type, value):
        """Fails unless the answer is one that the operation may give."""
        described = operation.is_a["responses"].get(str(status), operation.is_a["responses"]["default"])
        where = str(status) if str(status) in operation.is_a["responses"] else "default"
        assert status >= 400 or where != "default", f"{operation}: answers {status}, which is not described"
        if "content" not in described:
            assert value is None, f"{operation}: {status} with a body"
            return
        assert content_type in described["content"], f"{operation}: {content_type}"
        path = "/".join(part.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")
                        for part in ("paths", operation.path, operation.method.lower(), "responses", where, "content", content_type, "schema"))
        verdict = self.judge.ask("answer", pointer="/" + path, value=value)
        assert verdict["valid"], f"{operation}: the answer is not what the description says: {verdict['errors']}\n{json.dumps(value)[:2000]}"


@functools.cache
def description():
    return Description()


def installed():
    """Only scripts/test installs the validators; test_openapi.py fails without."""
    return (MODULES / "ajv").exists()
