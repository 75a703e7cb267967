"""Chromium without a head, driven by its own protocol over a pipe: no driver, no port."""
import base64
import itertools
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading

from .wait import wait_until

KEYS = {"Enter": (13, "\r"), "Tab": (9, ""), "Escape": (27, ""), "ArrowUp": (38, ""), "ArrowDown": (40, ""), "k": (75, "k")}
ALT, CONTROL, META, SHIFT = 1, 2, 4, 8  # modifiers of a key


class Navigated(Exception):
    """The page went elsewhere while it was asked something."""


class Browser:
    def __init__(self):
        self._profile = tempfile.mkdtemp(prefix="parley-chromium-")
        to_read, self._to = os.pipe()
        self._from, to_write = os.pipe()
        # Pages here are looked at: none may be slowed down, or left undrawn, as one in the background.
        foreground = "--disable-background-timer-throttling --disable-backgrounding-occluded-windows --disable-renderer-backgrounding"
        command = (f"exec chromium-headless-shell --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run {foreground}"
                   f" --user-data-dir={self._profile} --remote-debugging-pipe about:blank 3<&{to_read} 4>&{to_write}")
        self._process = subprocess.Popen(["bash", "-c", command], pass_fds=(to_read, to_write), stdin=subprocess.DEVNULL,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(to_write)
        self._ids, self._answers, self._pages = itertools.count(1), {}, {}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        rest = b""
        while data := os.read(self._from, 1 << 16):
            *messages, rest = (rest + data).split(b"\0")
            for text in messages:
                message = json.loads(text)
                if "id" in message:
                    self._answers[message["id"]].put(message)
                elif message.get("sessionId") in self._pages:
                    self._pages[message["sessionId"]]._on_event(message)

    def call(self, method, session=None, **params):
        number = next(self._ids)
        answer = self._answers[number] = queue.Queue()
        message = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        got = answer.get(timeout=30)
        del self._answers[number]
        if "navigated or closed" in got.get("error", {}).get("message", ""):
            raise Navigated(method)
        assert "error" not in got, f"{method}: {got['error']}"
        return got["result"]

    def page(self, url, width=1200, height=800, dark=False, beside=None):
        """A page in a profile of its own: other cookies, other storage. beside: a page whose profile it shares."""
        context = beside.context if beside else self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self._pages[session] = Page(self, session, context)
        page.call("Page.bringToFront")
        page.resize(width, height)
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme",
                                                           "value": "dark" if dark else "light"}])
        page.go(url)
        return page

    def close(self):
        self._process.terminate()
        self._process.wait(20)
        os.close(self._to)
        shutil.rmtree(self._profile, ignore_errors=True)


class Page:
    def __init__(self, browser, session, context):
        self._browser, self._session, self.context = browser, session, context
        self.errors = []  # uncaught exceptions and what the browser itself complained about
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        return self._browser.call(method, self._session, **params)

    def close(self):
        self.call("Page.close")

    def _on_event(self, message):
        params = message["params"]
        if message["method"] == "Runtime.exceptionThrown":
            self.errors.append(params["exceptionDetails"].get("exception", params["exceptionDetails"]).get("description"))
        elif message["method"] == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(params["entry"]["text"])

    def resize(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    def described(self):
        """For the report of a failure."""
        try:
            seen = self.js("document.visibilityState + ' ' + JSON.stringify(document.body.dataset) + '\\n' + document.body.innerText")
            frames = self.js("new Promise(r => { requestAnimationFrame(() => r('drawn')); setTimeout(() => r('not drawn'), 2000); })")
        except Exception as why:  # whatever it is, it must not hide the failure
            return f"it does not answer: {why!r}"
        return f"{frames}, {seen}\nerrors: {self.errors}"

    def go(self, url):
        self.call("Page.navigate", url=url)
        wait_until(lambda: self.js("document.readyState") == "complete")

    def reload(self):
        self.js("window.before_reload = true")
        self.call("Page.reload")
        wait_until(lambda: self.js("document.readyState === 'complete' && !window.before_reload"))

    def js(self, expression):
        """Its value, on the page that is there when it can be had."""
        while True:
            try:
                return self._evaluate(expression)
            except Navigated:
                pass

    def _evaluate(self, expression):
        got = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in got, got["exceptionDetails"]
        return got["result"].get("value")

    def text(self, selector="body"):
        return self.js(f"document.querySelector({json.dumps(selector)})?.innerText ?? null")

    def texts(self, selector):
        return self.js(f"[...document.querySelectorAll({json.dumps(selector)})].map(e => e.innerText.trim())")

    def click(self, selector):
        try:
            assert self._evaluate(f"(e => e && (e.click(), true))(document.querySelector({json.dumps(selector)}))"), selector
        except Navigated:
            pass  # that is what it was for

    def focus(self, selector):
        self.js(f"document.querySelector({json.dumps(selector)}).focus()")

    def type(self, text):
        self.call("Input.insertText", text=text)

    def press(self, key, modifiers=0):
        code, text = KEYS[key]
        if modifiers & ~SHIFT:
            text = ""
        common = {"key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("Page.captureScreenshot")["data"]))
