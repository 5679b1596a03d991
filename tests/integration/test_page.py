"""The page in a real browser: what it shows, how it fits, and whether everyone can read it."""

import json
import os
import shutil
import tempfile
import unittest
from datetime import timedelta

from agent import Agent
from browser import PROGRAM, Browser

HOSTILE = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>"
LONG = "a-name-without-any-space-" * 8


def browser():
    """One for all: starting it takes longer than what most tests do."""
    if not hasattr(browser, "one"):
        browser.one = Browser()
        unittest.addModuleCleanup(browser.one.close)
    return browser.one


class Shown(unittest.TestCase):
    """As `lifeboat run` serves it, on a quiet stack."""

    @classmethod
    def setUpClass(cls):
        cls.place = tempfile.mkdtemp(prefix="lb-page-")
        cls.addClassCleanup(shutil.rmtree, cls.place, ignore_errors=True)
        cls.agent = Agent(cls.place, start=False)
        cls.agent.more = "[schedule]\nbackup = 0 2 * * *\ndrill = 0 4 * * sun\n"
        cls.agent.configure()
        cls.agent.history.write(days=36)
        cls.agent.start()
        cls.addClassCleanup(cls.agent.stop)
        cls.address = "http://127.0.0.1:%d/" % cls.agent.port
        cls.browser = browser()
        # The same page for all tests: opening one takes longer than looking at it.
        cls.looks = [(cls.browser.open(cls.address, width=width, dark=dark), width, dark)
                     for width in (360, 1440) for dark in (False, True)]

    def test_page__says_what_status_says(self):
        said = json.loads(self.agent.lifeboat("status", "--json").stdout)
        for page, _, _ in self.looks:
            self.assertEqual(page.evaluate("document.querySelector('h1').textContent"), said["verdict"])
            body = page.evaluate("document.body.textContent")
            self.assertIn(said["newest"]["id"], body)
            self.assertIn(said["proven"]["id"], body)
            self.assertEqual(page.evaluate("document.querySelectorAll('section[aria-labelledby=backups] tbody tr').length"),
                             said["backups"])
            self.assertEqual(page.evaluate("document.querySelectorAll('section[aria-labelledby=drills] details dl').length"),
                             len(said["drills"]))
            self.assertEqual(page.evaluate("document.querySelectorAll('svg.calendar g').length"), len(said["days"]))
            for store in said["stores"]:
                self.assertIn(store["where"], body)
            for gap in said["not_backed_up"]:
                self.assertIn(gap["why"], body)
            jobs = page.evaluate("[...document.querySelectorAll('section[aria-labelledby=jobs] tbody th')].map(e => e.textContent)")
            self.assertEqual([j for j in jobs if j in said["agent"]["jobs"]], list(said["agent"]["jobs"]))

    def test_page__fits_and_is_quiet(self):
        for page, width, dark in self.looks:
            self.assertEqual(page.evaluate("document.documentElement.scrollWidth"), width)
            self.assertEqual(page.evaluate("document.scripts.length"), 0)
            self.assertEqual(page.messages, [])
            self.assertEqual({r for r in page.requests if not r.startswith("data:")}, {self.address})
            ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
            self.assertEqual(ground, "rgb(20, 24, 27)" if dark else "rgb(250, 249, 246)")

    def test_page__text_can_be_read_and_heard(self):
        for page, _, _ in self.looks:
            page.unfold()
            self.assertEqual(page.low_contrast(), [])
            self.assertEqual(page.evaluate("document.querySelectorAll('h1').length"), 1)
            self.assertEqual(page.evaluate("[...document.querySelectorAll('svg[role=img]')].filter(s => !s.ariaLabel).length"), 0)
            self.assertEqual(page.evaluate("[...document.querySelectorAll('table')].filter(t => !t.querySelector('th[scope=col]')).length"), 0)
            self.assertEqual(page.evaluate("['header','main','footer'].filter(n => !document.querySelector(n)).length"), 0)

    def test_page__axe_finds_no_violation(self):
        # Both widths and both schemes; it takes seconds for each.
        for page, _, _ in (self.looks[0], self.looks[3]):
            page.unfold()
            self.assertEqual(page.violations(), [])
        # It is no dummy.
        page.evaluate("document.querySelector('main').append(new Image()); 0")
        found = page.evaluate("axe.run({runOnly: ['image-alt']}).then(r => r.violations.map(v => v.id))")
        self.assertEqual(found, ["image-alt"])

    def test_page__without_scripts__is_the_same(self):
        page = self.browser.open("about:blank")
        page.call("Emulation.setScriptExecutionDisabled", value=True)
        page.call("Page.navigate", url=self.address)
        self.browser.wait_event("Page.loadEventFired", page.session)
        self.assertIn("Safe:", page.evaluate("document.querySelector('h1').textContent"))
        page.close()


class Hard(unittest.TestCase):
    """As a file, of stacks that are not quiet."""

    def page_of(self, fill):
        folder = tempfile.mkdtemp(prefix="lb-page-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        agent = Agent(folder, start=False)
        fill(agent.history)
        said = agent.lifeboat("status", "--html", "page.html")
        self.assertTrue((agent.folder / "page.html").exists(), said.stderr)
        return "file://%s/page.html" % agent.folder, said

    @staticmethod
    def trouble(history):
        there = history.store.parent / LONG[:60]
        there.mkdir()
        history.conf(stores={"local": "url = file://%s\nsite = %s" % (history.store, LONG[:60]),
                             LONG[:24]: "url = file://%s" % there, "gone": "url = file:///dev/null/" + LONG})
        now = history.now
        for back in range(90):
            history.backup(now - timedelta(days=back), back, suspicious=back % 9 == 4, rows=10 ** (back % 16),
                           store=there if back % 2 else None, label=(None, HOSTILE, LONG, "日本語 مرحبا ☃")[back % 4])
        for number in range(4):
            ident = history.backup(now - timedelta(minutes=number), 100 + number)
            history.drill(ident, now - timedelta(minutes=number), ("failed", "could not verify")[number % 2], differences=[
                {"component": "postgres", "where": "table 'public.%s'" % HOSTILE, "what": LONG, "expected": "9" * 90,
                 "found": LONG}] * (number % 3), error=(None, HOSTILE, LONG * 3)[number % 3])

    def fits(self, url, **opts):
        page = browser().open(url, **opts)
        self.addCleanup(page.close)
        page.unfold()
        self.assertEqual(page.evaluate("document.documentElement.scrollWidth"), opts["width"])
        self.assertEqual(page.evaluate("document.images.length + document.scripts.length"), 0)
        self.assertEqual((page.messages, page.low_contrast()), ([], []))
        # A file has nothing beside it that a link could lead to.
        self.assertEqual(page.evaluate("[...document.links].map(a => a.getAttribute('href')).filter(h => h[0] != '#')"), [])
        return page

    def test_page__long_and_hostile_names__fit_on_telephone_screen_and_paper(self):
        url, said = self.page_of(self.trouble)
        self.assertEqual(said.returncode, 1)
        self.fits(url, width=360)
        page = self.fits(url, width=1440, dark=True)
        self.marks_the_focus(page)
        page.call("Emulation.setEmulatedMedia", media="print")
        page.call("Emulation.setDeviceMetricsOverride", width=718, height=1000, deviceScaleFactor=1, mobile=False)
        self.assertEqual(page.evaluate("document.documentElement.scrollWidth"), 718)
        self.assertEqual(page.evaluate("getComputedStyle(document.body).backgroundColor"), "rgb(255, 255, 255)")

    def marks_the_focus(self, page):
        kinds = set()
        page.call("Page.bringToFront")
        for _ in range(10):
            for kind in ("rawKeyDown", "keyUp"):
                page.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
            tag, style, wide = page.evaluate("(e => { const s = getComputedStyle(e); return [e.tagName + '.' + e.className, "
                                             "s.outlineStyle, s.outlineWidth] })(document.activeElement)")
            kinds.add(tag)
            self.assertEqual((style, wide), ("solid", "3px"), tag)
        self.assertLessEqual({"A.skip", "DIV.scroll", "SUMMARY."}, kinds)

    def test_page__nothing_yet_and_one__fit_too(self):
        for fill, verdict in ((lambda h: None, "Danger: there is no backup."),
                              (lambda h: h.backup(h.now), "Attention: no backup has been proved yet: run a drill.")):
            page = self.fits(self.page_of(fill)[0], width=360)
            self.assertEqual(page.evaluate("document.querySelector('h1').textContent"), verdict)


if __name__ == "__main__":
    if not os.path.exists(PROGRAM):
        raise SystemExit("there is no " + PROGRAM)
    unittest.main()
