"""Debian's Chromium, driven over the DevTools protocol on a pipe: no port, no library.

    with Browser() as browser:
        page = browser.open("http://127.0.0.1:8094/", width=360, dark=True)
        page.evaluate("document.title"), page.messages, page.screenshot(path)
"""

import base64
import json
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

PROGRAM = "/usr/bin/chromium"
AUDITS = "third_party/lighthouse/lighthouse-dt-bundle.js"


# Contrast of text on its ground, as WCAG 2 computes it, for every element that has text of its own.
CONTRAST = """(() => {
  const lum = c => { const [r, g, b] = c.map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 });
                     return .2126 * r + .7152 * g + .0722 * b };
  const rgb = t => t.match(/[\\d.]+/g).map(Number);
  const ground = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
                        if (c.length < 4 || c[3] > 0) return c.slice(0, 3) } return [255, 255, 255] };
  const bad = [];
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || e.closest('.skip') || e.tagName === 'title') continue;
    const style = getComputedStyle(e), ink = rgb(e instanceof SVGElement ? style.fill : style.color).slice(0, 3);
    const [a, b] = [lum(ink), lum(ground(e))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < 4.5) bad.push(e.tagName + ' ' + e.className + ' ' + ratio.toFixed(2));
  }
  return bad })()"""


class BrowserFailed(AssertionError):
    pass


class Browser:
    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="lb-chromium-")
        theirs_in, self.out = os.pipe()
        self.inward, theirs_out = os.pipe()
        # It reads commands from descriptor 3 and writes answers to 4.
        script = 'exec 3<&%d 4>&%d; exec "$@"' % (theirs_in, theirs_out)
        self.process = subprocess.Popen(
            ["bash", "-c", script, "bash", PROGRAM, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
             "--hide-scrollbars", "--user-data-dir=" + self.profile, "--remote-debugging-pipe", "about:blank"],
            pass_fds=(theirs_in, theirs_out), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(theirs_in)
        os.close(theirs_out)
        self.buffer, self.number, self.events = b"", 0, []
        self.axe = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        os.close(self.out)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self.inward)
        shutil.rmtree(self.profile, ignore_errors=True)

    def _read(self, seconds):
        end = time.monotonic() + seconds
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.inward], [], [], max(0, end - time.monotonic()))
            data = os.read(self.inward, 1 << 20) if ready else b""
            if not data:
                raise BrowserFailed("the browser does not answer (status %s)" % self.process.poll())
            self.buffer += data
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, seconds=30, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read(seconds)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise BrowserFailed("%s: %s" % (method, answer["error"]))
                return answer["result"]
            self.events.append(answer)

    def wait_event(self, method, session, seconds=30):
        while True:
            for event in self.events:
                if event.get("method") == method and event.get("sessionId") == session:
                    self.events.remove(event)
                    return event["params"]
            self.events.append(self._read(seconds))

    def open(self, url, width=1440, height=900, dark=False):
        return Page(self, url, width, height, dark)

    def axe_core(self):
        """The source of axe-core, the checker of accessibility, as Chromium's own developer tools bring it along:
        it is a string in the script of their audits."""
        if self.axe is not None:
            return self.axe
        page = self.open("devtools://devtools/bundled/devtools_app.html")
        bundle = page.evaluate("fetch('%s').then(r => r.text(), e => '')" % AUDITS)
        page.close()
        found = re.search(r"`/\*! axe v(?:[^`\\]|\\.)*`", bundle, re.S)
        if found is None:
            raise BrowserFailed("%s has no axe-core in %s (%d bytes): without it nobody checks the page's accessibility" % (
                PROGRAM, AUDITS, len(bundle)))
        blank = self.open("about:blank")
        self.axe = blank.evaluate(found.group())
        blank.close()
        return self.axe


class Page:
    def __init__(self, browser, url, width, height, dark):
        self.browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.target = target
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                  mobile=width < 500)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.call("Page.navigate", url=url)
        browser.wait_event("Page.loadEventFired", self.session)

    def call(self, method, **params):
        return self.browser.call(method, session=self.session, **params)

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise BrowserFailed("%s: %s" % (expression[:80], result["exceptionDetails"]))
        return result["result"].get("value")

    def unfold(self):
        self.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")

    def low_contrast(self):
        return self.evaluate(CONTRAST)

    def violations(self):
        """What axe-core finds, with the first few places of each."""
        self.evaluate(self.browser.axe_core() + "; 0")
        return self.evaluate("axe.run().then(r => r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html).slice(0, 3)))")

    @property
    def messages(self):
        """What the console and the log of the browser said about this page."""
        self.evaluate("1")
        said = []
        for event in self.browser.events:
            if event.get("sessionId") != self.session:
                continue
            if event["method"] == "Log.entryAdded":
                said.append(event["params"]["entry"]["text"])
            elif event["method"] == "Runtime.consoleAPICalled":
                said.append(str([a.get("value") for a in event["params"]["args"]]))
            elif event["method"] == "Runtime.exceptionThrown":
                said.append(str(event["params"]["exceptionDetails"]))
        return said

    @property
    def requests(self):
        """Addresses that the page asked for."""
        self.evaluate("1")
        return [e["params"]["request"]["url"] for e in self.browser.events
                if e.get("sessionId") == self.session and e["method"] == "Network.requestWillBeSent"]

    def screenshot(self, path, full=False, height=None):
        params = {"format": "png"}
        if full or height:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            params.update(captureBeyondViewport=True, clip={
                "x": 0, "y": 0, "width": size["width"], "height": min(size["height"], height or 1 << 20), "scale": 1})
        with open(path, "wb") as out:
            out.write(base64.b64decode(self.call("Page.captureScreenshot", **params)["data"]))

    def close(self):
        self.browser.call("Target.closeTarget", targetId=self.target)
