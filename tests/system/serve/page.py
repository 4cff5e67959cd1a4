#!/usr/bin/env python3
"""The page of bide serve in a real Chromium: argv[1] is the command, argv[2] a
directory of its own.  With BIDE_PICTURES in the environment, screenshots go into
that directory."""
import json
import os
import re
import subprocess
import sys
import time

import browser

BIDE, TOP = sys.argv[1], sys.argv[2]
PICTURES = os.environ.get("BIDE_PICTURES")
SIZES = {"phone": (390, 844, True), "desk": (1440, 900, False), "narrow": (360, 640, True),
         "laptop": (1366, 768, False), "tablet": (820, 1180, True)}
EVIL = '<img src=x onerror="document.title=1"> & "quotes" \\'
POLICIES = f"""
[pay]
attempts = 3
wait = none
retry_on = any
breaker = on
breaker_min_calls = 3
breaker_open_for = 1h
budget = own
crit_retry_rate = 1%
warn_min_calls = 1

[stock]
attempts = 4
wait = fixed
wait_initial = 1h
wait_max = 1h
retry_on = any

[mail]
importance = postponable
paused = yes

[a-name-as-long-as-a-policy-may-be-48-character-s]
"""
os.makedirs(TOP)
DIR, started = os.path.join(TOP, "registry"), []


def bide(*words, **how):
    return subprocess.run([BIDE, "--dir", DIR, *words], check=False, text=True,
                          capture_output=True, timeout=100, **how)


def start(*words):
    started.append(subprocess.Popen([BIDE, "--dir", DIR, *words], text=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL))
    return started[-1]


def make_registry():
    bide("init", "--live", os.path.join(TOP, "live"))
    assert bide("apply", "-", "--note", EVIL, input=POLICIES).returncode == 0
    for scope in ("one.example.com", "two.example.com"):
        bide("exec", "pay", "--scope", scope, "--", "true")
    for _ in range(2):
        bide("exec", "pay", "--scope", "two.example.com", "--", "false")
    bide("exec", "inventory", "--", "true")
    for letter in ("one", "two"):
        assert bide("deferred", "put", "mail", input=letter).returncode == 0
    start("exec", "stock", "--", "false")
    until = time.monotonic() + browser.PATIENCE
    while not json.loads(bide("calls", "--json").stdout)["calls"]:
        assert time.monotonic() < until, "nothing sleeps"
        time.sleep(0.05)


def serve(listen):
    server = start("serve", "--listen", listen)
    return server, re.match(r"http://(.*)/\n", server.stdout.readline())[1]


def stop(process):
    process.terminate()
    assert process.wait(60) == 0


# Visible texts with a contrast below 4.5 to 1.
PALE = """(() => {
  const parse = (c) => { const m = c.match(/[\\d.]+/g).map(Number); return [m[0], m[1], m[2], m[3] ?? 1]; };
  const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
  const light = (c) => { const [r, g, b] = c.slice(0, 3).map((v) => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b; };
  const ground = (e) => { const above = [];
    for (; e; e = e.parentElement) { above.push(parse(getComputedStyle(e).backgroundColor)); }
    return above.reverse().reduce((below, c) => over(c, below), [255, 255, 255, 1]); };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
  const found = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()), s = getComputedStyle(e);
    if ((!own && !e.placeholder) || s.visibility === 'hidden' || !e.getClientRects().length || e.closest('noscript, script, .unseen')) continue;
    const behind = ground(e), colour = e.placeholder ? getComputedStyle(e, '::placeholder').color : s.color;
    const r = ratio(over(parse(colour), behind), behind);
    if (r < 4.5) found.push([e.tagName, e.className, (e.textContent || e.placeholder).slice(0, 20), r.toFixed(2)]);
  }
  return found;
})()"""

# Elements that reach beyond their panel or the window.
OUTSIDE = """[...document.querySelectorAll('body *')].filter((e) => !e.closest('svg, .scroll, .unseen, .skip, script') &&
  getComputedStyle(e).visibility !== 'hidden' && e.getClientRects().length &&
  (e.getBoundingClientRect().right > innerWidth + 1 || e.getBoundingClientRect().left < -1 ||
   (e.closest('.panel') && e.getBoundingClientRect().right > e.closest('.panel').getBoundingClientRect().right + 1)))
  .map((e) => e.tagName + '.' + e.className + ' ' + e.textContent.slice(0, 30))"""

OPEN_ALL = "document.querySelectorAll('.open[aria-expanded=false]').forEach((b) => b.click())"
NAMES = "[...document.querySelectorAll('.row .open')].map((b) => b.textContent)"
ACTIVE = "document.activeElement"


def check_layouts(b, url):
    for name, (width, height, phone) in SIZES.items():
        for scheme in ("light", "dark"):
            b.size(width, height, phone)
            b.scheme(scheme)
            b.go(url)
            b.until("document.querySelectorAll('#rows .row').length === 5")
            if PICTURES:
                b.picture(f"{PICTURES}/{name}-{scheme}.png")
            b.js(OPEN_ALL)
            b.until("document.querySelectorAll('.more').length === 5 && document.querySelectorAll('.more .scroll').length === 4")
            where = f"{name}, {scheme}"
            assert b.js("document.documentElement.scrollWidth <= innerWidth"), f"{where}: wider than the window"
            assert b.js(OUTSIDE) == [], (where, b.js(OUTSIDE))
            assert b.js(PALE) == [], (where, b.js(PALE))
            if PICTURES:
                b.picture(f"{PICTURES}/{name}-{scheme}-open.png")
    dark = b.js("getComputedStyle(document.body).backgroundColor")
    b.scheme("light")
    assert b.js("getComputedStyle(document.body).backgroundColor") != dark


def check_texts(b, url):
    b.size(*SIZES["desk"])
    b.go(url)
    b.until("document.querySelectorAll('#rows .row').length === 5")
    assert b.js(NAMES) == sorted(b.js(NAMES)) and "pay" in b.js(NAMES)
    alerts = b.js("document.getElementById('alerts').innerText")
    for words in ("pay: breaker of two.example.com open, not closed for ", ", retries 25% above 1%", "mail: new calls are refused", "inventory: not defined",
                  "bide breaker pay", "bide resume mail"):
        assert words in alerts, (words, alerts)
    row = b.js("[...document.querySelectorAll('.row')].find((r) => r.innerText.startsWith('pay')).innerText")
    for words in ("v1", "mandatory", "OPEN", "%"):
        assert words in row, (words, row)
    calls = b.js("document.getElementById('calls').innerText")
    assert "stock" in calls and "attempt 1 of 4: exit.1" in calls and "bide" in calls, calls
    deferred = b.js("document.getElementById('deferred').innerText")
    assert "mail" in deferred and "2 waiting" in deferred and "oldest" in deferred, deferred
    assert b.js("document.getElementById('n-deferred').innerText") == "2 items"
    dead = b.js("findAlerts([], {...seen, deferred: {policies: [{policy: 'mail', waiting: 0, leased: 0, dead: 2}]}})"
                ".map((f) => f.what + ' ' + f.next).join()")
    assert "mail: 2 items are dead bide deferred list mail --dead" in dead, dead
    # A note is shown literally and never interpreted.
    log = b.js("document.getElementById('log').innerText")
    assert EVIL in log and "created" in log, log
    assert b.js("document.querySelectorAll('main img').length") == 0
    assert b.js("document.title") != "1"
    b.until("document.querySelectorAll('.spark .line').length > 0")
    assert b.js("[...document.querySelectorAll('svg')].every((s) => s.getAttribute('aria-label'))")


def tab_to(b, what):
    for _ in range(60):
        b.tab()
        if b.js(f"{ACTIVE}.matches({json.dumps(what)})"):
            seen = b.js(f"getComputedStyle({ACTIVE}).outlineStyle + parseFloat(getComputedStyle({ACTIVE}).outlineWidth)")
            assert seen.startswith("solid") and float(seen[5:]) >= 2, f"{what}: focus cannot be seen: {seen}"
            return
    raise AssertionError(f"no way to {what} by keyboard")


def next_answer(b):
    asked = "performance.getEntriesByType('resource').filter((e) => e.name.endsWith('/api/now') && e.responseEnd).length"
    before = b.js(asked)
    b.until(f"{asked} > {before}")


def check_keyboard(b, url):
    b.go(url)
    b.until("document.querySelectorAll('#rows .row').length === 5")
    names = b.js(NAMES)
    tab_to(b, ".skip")
    tab_to(b, "#hold")
    tab_to(b, "#filter")
    b.ask("Input.insertText", text="STO")
    b.until(f"JSON.stringify({NAMES}) === '[\"stock\"]'")
    for _ in range(3):
        b.key("Backspace", number=8)
    b.until("document.querySelectorAll('#rows .row').length === 5")
    tab_to(b, "th button")  # by name, in descending order
    b.enter()
    assert b.js(NAMES) == names[::-1]
    assert b.js("document.querySelector('[data-key=name]').getAttribute('aria-sort')") == "descending"
    tab_to(b, "[data-key=breaker] button")
    b.enter()
    assert b.js(NAMES)[0] == "pay", "the open breaker comes first"
    assert b.js("document.querySelectorAll('[aria-sort]').length") == 1
    tab_to(b, ".open")
    b.enter()
    assert b.js(f"{ACTIVE}.getAttribute('aria-expanded')") == "true"
    b.until("document.querySelectorAll('.more .scroll tbody tr').length === 2")
    more = b.js("document.querySelector('.more').innerText")
    for words in ("one.example.com", "two.example.com", "exit.1", "calls", "p95"):
        assert words in more, (words, more)
    next_answer(b)
    next_answer(b)
    assert b.js(f"{ACTIVE}.textContent") == "pay", "new figures took the focus away"
    assert b.js(f"{ACTIVE}.getAttribute('aria-expanded')") == "true"
    b.enter()
    assert b.js("document.querySelectorAll('.more').length") == 0
    b.js("document.querySelector('.row:last-child .open').focus()")
    last = b.js(f"{ACTIVE}.textContent")
    b.js("sortBy('name', 'ascending'); sortBy('name', 'descending'); sortBy('breaker', 'ascending')")
    assert b.js(f"{ACTIVE}.textContent") == last, "sorting took the focus away"
    b.js("document.getElementById('hold').focus()")
    b.enter()
    assert b.js("document.getElementById('state').textContent") == "updates paused"
    b.enter()
    b.until("document.getElementById('state').textContent.startsWith('live')")


def check_outage(b, url):
    """All calls are refused: the row and the chart show as many failed calls as calls."""
    b.go(url)
    b.until("document.querySelectorAll('#rows .row').length === 5")
    b.js("toggle('pay')")
    trend = "seen.trend.policies.pay.trend"
    before = b.js(f"{trend}.failed.length")
    for _ in range(30):
        bide("exec", "pay", "--scope", "two.example.com", "--", "true")
    b.until(f"{trend}.failed.slice({before}).some((x) => x > 0)")
    series = b.js(trend)
    assert series["failed"][before:] == series["calls"][before:], series
    newest = "document.querySelector('.more .chart .line%s').getAttribute('d').split(/[ML]/).pop()"
    assert b.js(newest % ".lost") == b.js(newest % ":not(.lost):not(.retry)"), "the chart"
    assert "failed calls" in b.js("document.querySelector('.more .key').innerText")
    row = b.js("(({calls, lost}) => [calls.textContent, lost.textContent])(rows.get('pay'))")
    assert row[0] == row[1] and row[0] != "0", row
    b.js("toggle('pay')")


def check_new_calls(b):
    for _ in range(3):
        bide("exec", "pay", "--scope", "one.example.com", "--", "true")
    b.until("parseFloat(document.querySelector('#sums dd').textContent.replace('<', '')) > 0")


def check_failures(b, server, url):
    before = b.complaints()
    assert before == [], before
    assert all(u.startswith((url, "data:", "about:")) for u in b.requested()), set(b.requested())
    where = url[len("http://"):-1]
    stop(server)
    b.until("document.getElementById('banner').innerText.includes('does not answer.')")
    assert "are from today" in b.js("document.getElementById('banner').innerText")
    assert b.js("document.querySelectorAll('#rows .row').length") == 5, "the last figures stay"
    assert b.js(PALE) == [], b.js(PALE)
    if PICTURES:
        b.picture(f"{PICTURES}/gone.png")
    server, again = serve(where)
    assert again == where
    b.until("document.getElementById('banner').innerText === ''")
    os.rename(DIR, DIR + ".away")
    b.until("document.getElementById('banner').innerText.includes('cannot be read')")
    assert "bide init" in b.js("document.getElementById('banner').innerText")
    os.rename(DIR + ".away", DIR)
    b.until("document.getElementById('banner').innerText === ''")
    stop(server)


make_registry()
SERVER, WHERE = serve("127.0.0.1:0")
CHROMIUM = browser.Browser()
try:
    check_layouts(CHROMIUM, f"http://{WHERE}/")
    check_texts(CHROMIUM, f"http://{WHERE}/")
    check_outage(CHROMIUM, f"http://{WHERE}/")
    check_keyboard(CHROMIUM, f"http://{WHERE}/")
    check_new_calls(CHROMIUM)
    check_failures(CHROMIUM, SERVER, f"http://{WHERE}/")
finally:
    CHROMIUM.close()
    for one in started:
        if one.poll() is None:
            one.kill()
            one.wait()
