"""A headless Chromium, driven over a pipe with the DevTools protocol; needs only
Python."""
import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

PATIENCE = 120  # seconds: an upper limit for each wait


class Trouble(Exception):
    pass


def find():
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if shutil.which(name):
            return shutil.which(name)
    return None


class Browser:
    def __init__(self):
        self.home = tempfile.mkdtemp(prefix="bide-browser-")
        self.number, self.buffer, self.session = 0, b"", None
        self.events = []
        to_read, self.to = os.pipe()
        self.back, to_write = os.pipe()

        # The browser expects its ends of the pipes as descriptors 3 and 4.
        script = f'exec {find()} "$@" 3<&{to_read} 4>&{to_write}'
        self.process = subprocess.Popen(
            ["bash", "-c", script, "chromium", "--headless", "--remote-debugging-pipe",
             "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--hide-scrollbars", "--force-color-profile=srgb",
             "--disable-background-networking", "--disable-component-update",
             f"--user-data-dir={self.home}", "about:blank"],
            pass_fds=(to_read, to_write), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": self.home, "DBUS_SESSION_BUS_ADDRESS": "none"})
        os.close(to_read)
        os.close(to_write)
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(domain + ".enable")

    def close(self):
        try:
            self.session = None
            self.ask("Browser.close")
            self.process.wait(20)
        except (Trouble, OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        os.close(self.to)
        os.close(self.back)
        shutil.rmtree(self.home, ignore_errors=True)

    def _message(self, until):
        while b"\0" not in self.buffer:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.back], [], [], left)[0]:
                raise Trouble("the browser does not answer")
            got = os.read(self.back, 1 << 20)
            if not got:
                raise Trouble("the browser has ended")
            self.buffer += got
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def ask(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        raw = json.dumps(message).encode() + b"\0"
        while raw:
            raw = raw[os.write(self.to, raw):]
        until = time.monotonic() + PATIENCE
        while True:
            got = self._message(until)
            if got.get("id") == self.number:
                if "error" in got:
                    raise Trouble(f"{method}: {got['error']}")
                return got["result"]
            self.events.append(got)

    def complaints(self):
        """Returns the errors and warnings of the console so far, including those
        of the network and the Content-Security-Policy."""
        self.ask("Runtime.evaluate", expression="0")
        found = []
        for e in self.events:
            p = e.get("params", {})
            if e.get("method") == "Runtime.exceptionThrown":
                found.append(str(p["exceptionDetails"]))
            elif e.get("method") == "Runtime.consoleAPICalled" and p["type"] in ("error", "warning"):
                found.append(str(p["args"]))
            elif e.get("method") == "Log.entryAdded" and p["entry"]["level"] in ("error", "warning"):
                found.append(p["entry"]["text"] + " " + p["entry"].get("url", ""))
        return found

    def requested(self):
        """Returns every address that the page requested."""
        return [e["params"]["request"]["url"] for e in self.events
                if e.get("method") == "Network.requestWillBeSent"]

    def js(self, expression):
        got = self.ask("Runtime.evaluate", expression=expression, returnByValue=True,
                       awaitPromise=True)
        if "exceptionDetails" in got:
            raise Trouble(f"{expression}: {got['exceptionDetails']}")
        return got["result"].get("value")

    def until(self, expression):
        """Waits until the JavaScript expression is true; one that throws, as for an
        element that is not there yet, is not."""
        end = time.monotonic() + PATIENCE
        while not self.js(f"(() => {{ try {{ return {expression} }} catch {{ return false }} }})()"):
            if time.monotonic() > end:
                raise Trouble(f"never true: {expression}\n{self.js('document.body.innerText')}")
            time.sleep(0.05)

    def size(self, width, height, phone=False):
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=2 if phone else 1, mobile=phone)

    def scheme(self, name):
        self.ask("Emulation.setEmulatedMedia",
                 features=[{"name": "prefers-color-scheme", "value": name}])

    def go(self, url):
        self.ask("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")

    def key(self, key, code=None, number=0, text=None):
        for kind in ("keyDown", "keyUp"):
            extra = {"text": text} if text and kind == "keyDown" else {}
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=code or key,
                     windowsVirtualKeyCode=number, **extra)

    def tab(self):
        self.key("Tab", number=9)

    def enter(self):
        self.key("Enter", number=13, text="\r")

    def picture(self, path):
        got = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        with open(path, "wb") as out:
            out.write(base64.b64decode(got["data"]))
