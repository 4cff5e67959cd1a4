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
         "laptop": (1366, 768, False), "tablet": (820, 1180, True), "small": (900, 700, False)}
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

ROWS = "document.querySelectorAll('#rows .row').length === 5"
NAMES = "[...document.querySelectorAll('.row .open')].map((b) => b.textContent)"
ACTIVE = "document.activeElement"
SHOWN = "view !== null && document.querySelectorAll('#rules td').length > 0 && document.querySelectorAll('#scopes tr').length > 1"

# Finds what a screen reader or a keyboard would miss: controls without a name, ids used twice or not at all, a table
# whose parts have wrong roles, text outside of landmarks, headings that skip a level, hidden parts that take the focus.
UNCLEAR = """(() => {
  const seen = (e) => e.getClientRects().length > 0 && getComputedStyle(e).visibility !== 'hidden', found = [];
  const all = (what) => [...document.querySelectorAll(what)].filter(seen), say = (why, e) => found.push(why + ': ' + e.outerHTML.slice(0, 90));
  const named = (e) => (e.getAttribute('aria-label') || (e.getAttribute('aria-labelledby') || '').split(' ').map((i) => (document.getElementById(i) || {}).textContent || '').join('') ||
    [...e.labels || []].map((l) => l.textContent).join('') || (e.matches('input, select') ? '' : e.textContent)).trim();
  for (const e of all('button, a, input, select, [role=slider], [role=group], [role=img], [role=region], section, table.policies, nav')) if (!named(e)) say('no name', e);
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  ids.filter((id, i) => ids.indexOf(id) !== i).forEach((id) => found.push('id twice: ' + id));
  for (const key of ['aria-labelledby', 'aria-describedby']) for (const e of document.querySelectorAll(`[${key}]`)) if (!ids.includes(e.getAttribute(key))) say('no such id', e);
  const inside = {table: 'rowgroup', rowgroup: 'row', row: 'cell columnheader'};
  for (const [role, kids] of Object.entries(inside)) for (const e of all(`[role=${role}]`)) {
    if (!e.children.length || [...e.children].some((k) => !kids.split(' ').includes(k.getAttribute('role')))) say('children of ' + role, e);
  }
  for (const e of all('ul, ol')) if ([...e.children].some((k) => k.tagName !== 'LI')) say('list', e);
  for (const e of all('[role=slider] a, [role=slider] button, [role=slider] [tabindex], [aria-hidden=true] a, [aria-hidden=true] button')) say('focus inside', e);
  for (const e of all('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (own && !e.closest('header.top, main, footer, .skip, script, noscript')) say('no landmark', e);
  }
  let level = 0;
  for (const h of all('h1, h2, h3')) { if (+h.tagName[1] > level + 1) say('heading', h); level = +h.tagName[1]; }
  for (const tag of ['main', 'h1']) if (all(tag).length !== 1) found.push('not one ' + tag);
  if (!document.documentElement.lang || !document.title) found.push('no language or title');
  for (const e of all('button, .range a, .open, select, input')) { const r = e.getBoundingClientRect(); if (r.height < 17.5 && e.type !== 'checkbox') say('small', e); }
  for (const e of all('[role=slider]')) if (!['valuenow', 'valuemin', 'valuemax', 'valuetext'].every((k) => e.hasAttribute('aria-' + k))) say('slider', e);
  return found;
})()"""


def look(b, where):
    assert b.js("document.documentElement.scrollWidth <= innerWidth"), f"{where}: wider than the window"
    for check in (OUTSIDE, PALE, UNCLEAR):
        assert b.js(check) == [], (where, b.js(check))
    if PICTURES:
        b.picture(f"{PICTURES}/{where}.png")


def check_layouts(b, url):
    for name, (width, height, phone) in SIZES.items():
        for scheme in ("light", "dark"):
            b.size(width, height, phone)
            b.scheme(scheme)
            b.go(url)
            b.until(ROWS)
            look(b, f"{name}-{scheme}")
            assert b.js("getComputedStyle(document.querySelector('thead')).position === 'static'") == (width >= 900)
            if width >= 900:  # the first screen shows policies
                assert b.js("document.querySelector('.row').getBoundingClientRect().bottom < innerHeight"), name
            b.go(url + "#/pay?since=1h")
            b.until(SHOWN)
            look(b, f"{name}-{scheme}-pay")
    dark = b.js("getComputedStyle(document.body).backgroundColor")
    b.scheme("light")
    assert b.js("getComputedStyle(document.body).backgroundColor") != dark


def check_texts(b, url):
    b.size(*SIZES["desk"])
    b.go(url)
    b.until(ROWS)
    assert b.js(NAMES)[0] == "pay", "the worst comes first"
    alerts = b.js("document.getElementById('alerts').innerText")
    for words in ("pay breaker of two.example.com open, not closed for ", ", retries 25% above 1%", "mail new calls are refused", "inventory not defined",
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
                ".map((f) => f.name + ': ' + f.what + ' ' + f.next).join()")
    assert "mail: 2 items are dead bide deferred list mail --dead" in dead, dead
    # A note is shown literally and never interpreted.
    log = b.js("document.getElementById('log').innerText")
    assert EVIL in log and "created" in log, log
    assert b.js("document.querySelectorAll('main img').length") == 0
    assert b.js("document.title") != "1"
    assert b.js("plain('a\\u001b[31mb\\u202ec\\n')") == "a\ufffd[31mb\ufffdc\ufffd"
    b.until("document.querySelectorAll('.spark .line').length > 0")
    assert b.js("[...document.querySelectorAll('#all svg')].every((s) => s.getAttribute('aria-label'))")


def check_policy(b, url):
    """One policy at its address: scopes, outcomes, events, versions, rules; then one scope, another time."""
    b.go(url + "#/pay?since=1h")
    b.until(SHOWN)
    said = b.js("document.getElementById('one').innerText")
    for words in ("two.example.com", "one.example.com", "exit.1", "two.example.com: opened", EVIL, "created", "breaker_min_calls", "this policy", "OPEN"):
        assert words in said, (words, said)
    assert b.js("document.querySelector('.line.whole95').getAttribute('d').length > 10"), "no line of whole calls"
    took = b.js("view.scopes.map((c) => [c.latency_ms.calls, c.latency_ms.succeeded])")
    assert any(calls["count"] > ok["count"] for calls, ok in took), f"whole calls: {took}"
    assert b.js("[...document.querySelectorAll('#scopes th')].map((h) => h.textContent)").index("Call p95") == 6
    assert b.js("[...document.querySelectorAll('#scopes tbody tr')].map((r) => r.firstChild.textContent)")[0] == "two.example.com", "the worst scope comes first"
    assert b.js("document.querySelectorAll('#charts path.mark.breaker').length") >= 3, "each chart marks the breaker"
    assert "breaker_slow_rate" not in said
    b.js("document.getElementById('all-rules').click()")
    b.until("document.getElementById('rules').innerText.includes('breaker_slow_rate')")
    b.size(794, 1123)
    b.scheme("dark")
    b.ask("Emulation.setEmulatedMedia", media="print")
    assert b.js("getComputedStyle(document.querySelector('.range')).display") == "none"
    assert b.js("getComputedStyle(document.querySelector('#one .panel')).backgroundColor") == "rgb(255, 255, 255)", "on white paper"
    assert b.js(PALE) == [] and b.js(OUTSIDE) == [], (b.js(PALE), b.js(OUTSIDE))
    if PICTURES:
        b.picture(f"{PICTURES}/print.png")
    b.ask("Emulation.setEmulatedMedia", media="")
    b.scheme("light")
    b.size(*SIZES["desk"])
    b.js("document.querySelectorAll('#scopes a')[1].click()")
    b.until("location.hash.includes('scope=one.example.com') && view.scopes_known === 2 && document.getElementById('scope').value === '=one.example.com'")
    b.until("document.getElementById('outcomes').children.length === 0")
    b.js("document.querySelector('#ranges a').click()")
    b.until("location.hash.includes('since=10m') && view.until - view.since < 700")
    before = b.js("view.until - view.since")
    b.js("document.getElementById('out').click()")
    b.until(f"view.until - view.since > 1.9 * {before}")
    for bad in ("#/pay?since=never", "#/nobody?since=1h", "#/%ff", "#/pay?since=1h&scope=%00%3Cb%3E", "#/pay?since=2099-01-01"):
        b.go(url + bad)
        b.until("seen !== null")
        b.until("route.name === null || view !== null || !document.getElementById('one-note').hidden")
    b.go(url + "#/inventory?since=1h")  # used, but not defined
    b.until("view !== null && document.getElementById('one-about').innerText.includes('not defined')")
    assert [c for c in b.complaints() if "400 (Bad Request)" not in c] == [], b.complaints()
    b.events.clear()


def check_outage(b, url):
    """All calls are refused: the row and the chart show as many failed calls as calls."""
    b.go(url)
    b.until(ROWS)
    trend = "lines(seen.trend.policies.pay, seen)"
    before = b.js(f"{trend}.failed.length")
    for _ in range(30):
        bide("exec", "pay", "--scope", "two.example.com", "--", "true")
    b.until(f"{trend}.failed.slice({before}).some((x) => x > 0)")
    series = b.js(trend)
    assert series["failed"][before:] == series["calls"][before:] == series["refused"][before:], series
    newest = "document.querySelector('.row .spark .line%s').getAttribute('d').split(/[ML]/).pop()"
    assert b.js(newest % ".lost") == b.js(newest % ":not(.lost)"), "the line"
    row = b.js("(({calls, lost, refused}) => [calls.textContent, lost.textContent, refused.textContent])(rows.get('pay'))")
    refused, word = row[2].split()
    assert float(row[0]) >= float(row[1]) >= float(refused) > 0 and word == "refused", row
    b.go(url + "#/pay?since=10m")
    b.until("view !== null && document.querySelectorAll('#charts .bar.refused').length > 1")
    assert b.js("view.list.reduce((s, c) => s + c.refused, 0)") > 25


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
    b.go("about:blank")
    b.go(url)
    b.until(ROWS)
    b.js("sortBy('name', 'ascending')")
    names = b.js(NAMES)
    tab_to(b, ".skip")
    tab_to(b, "#hold")
    b.key("/", code="Slash", number=191)
    assert b.js(f"{ACTIVE}.id") == "filter"
    b.ask("Input.insertText", text="STO")
    b.until(f"JSON.stringify({NAMES}) === '[\"stock\"]'")
    for _ in range(3):
        b.key("Backspace", number=8)
    b.until(ROWS)
    tab_to(b, "th button")  # by name, in descending order
    b.enter()
    assert b.js(NAMES) == names[::-1]
    assert b.js("document.querySelector('[data-key=name]').getAttribute('aria-sort')") == "descending"
    tab_to(b, "[data-key=breaker] button")
    b.enter()
    assert b.js(NAMES)[0] == "pay", "the open breaker comes first"
    assert b.js("document.querySelectorAll('[aria-sort]').length") == 1
    tab_to(b, ".open")
    b.key("ArrowDown", number=40)
    assert b.js(f"{ACTIVE}.textContent") == b.js(NAMES)[1]
    b.key("ArrowUp", number=38)
    next_answer(b)
    next_answer(b)
    assert b.js(f"{ACTIVE}.textContent") == "pay", "new figures took the focus away"
    b.js("sortBy('name', 'ascending'); sortBy('name', 'descending'); sortBy('breaker', 'descending')")
    assert b.js(f"{ACTIVE}.textContent") == "pay", "sorting took the focus away"
    b.enter()
    b.until(SHOWN)
    assert b.js(f"{ACTIVE}.id") == "one-name" and b.js("document.title").count("pay")
    tab_to(b, "#ranges a")
    tab_to(b, "#plots")
    b.key("End", number=35)
    newest = b.js("document.getElementById('readout').textContent")
    assert "calls/s" in newest and b.js(f"{ACTIVE}.getAttribute('aria-valuetext')") == newest
    b.key("Home", number=36)
    assert b.js(f"{ACTIVE}.getAttribute('aria-valuenow')") == "0"
    b.key("-", code="Minus", number=189)
    b.until("view.until - view.since > 7000")
    assert b.js(f"{ACTIVE}.id") == "plots", "zooming took the focus away"
    tab_to(b, "#scopes a")
    answers = b.js("asked")
    b.until(f"asked > {answers} + 1")
    assert b.js(f"{ACTIVE}.matches('#scopes a')"), "new figures took the focus away"
    b.key("Escape", number=27)
    b.until("!document.getElementById('all').hidden")
    assert b.js(f"{ACTIVE}.textContent") == "pay", "back where it was"
    b.js("document.getElementById('hold').focus()")
    b.enter()
    assert b.js("document.getElementById('state').textContent") == "updates paused"
    b.enter()
    b.until("document.getElementById('state').textContent === 'live'")


def check_long(b, url):
    """The browser is open for a week: the page's memory stays bounded, while policies, scopes and columns come and go."""
    b.go(url + "#/pay?since=1h")
    b.until(SHOWN)
    b.js("held = true; next = structuredClone(seen); nextView = structuredClone(view); list = next.list.policies; 0")
    week = """for (let i = 0; i < %d; i++) {
      next.host.time += 300;
      next.list.policies = list.concat(Array.from({length: 30}, (_, k) => ({...list[k %% 5], policy: 'job-' + (i * 30 + k)})));
      route.name = i %% 2 ? 'pay' : null;
      show(next);
      if (i %% 2) { view = structuredClone(nextView); view.time = view.until = next.host.time; view.since = view.until - 3600; drawOne(); }
    } 0"""

    def size():
        b.ask("HeapProfiler.collectGarbage")
        counts = b.ask("Memory.getDOMCounters")
        return b.ask("Runtime.getHeapUsage")["usedSize"], counts["nodes"], counts["jsEventListeners"]

    b.js(week % 200)
    heap, nodes, listeners = size()
    b.js(week % 2016)  # each 5 minutes
    now = size()
    assert now[0] < 1.5 * heap + 2e6 and now[1] < 1.5 * nodes + 500 and now[2] <= 1.5 * listeners + 100, (heap, nodes, listeners, now)
    b.go("about:blank")


def check_many(b, url):
    """First paint: from an answer with 1,000 and 10,000 policies to the table."""
    b.go(url)
    b.until(ROWS)
    b.js("held = true; list = structuredClone(seen.list.policies); 0")
    for count in (1000, 10000):
        took = b.js(f"""(() => {{
          const text_ = JSON.stringify({{...seen, list: {{policies: Array.from({{length: {count}}}, (_, k) => ({{...list[k % 5], policy: 'job-' + k}}))}}}});
          rows.clear(); $("rows").replaceChildren();
          const begin = performance.now();
          show(JSON.parse(text_));
          document.body.getBoundingClientRect();
          return performance.now() - begin;
        }})()""")
        if PICTURES:
            print(f"{count} policies: {took:.0f} ms")
        b.until("document.querySelectorAll('#rows .row').length === 200")
        assert "filter for others" in b.js("document.getElementById('n-list').innerText")
    b.go("about:blank")


def check_new_calls(b, url):
    for _ in range(3):
        bide("exec", "pay", "--scope", "one.example.com", "--", "true")
    b.go(url)
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
    check_policy(CHROMIUM, f"http://{WHERE}/")
    check_outage(CHROMIUM, f"http://{WHERE}/")
    check_keyboard(CHROMIUM, f"http://{WHERE}/")
    check_new_calls(CHROMIUM, f"http://{WHERE}/")
    check_long(CHROMIUM, f"http://{WHERE}/")
    check_many(CHROMIUM, f"http://{WHERE}/")
    CHROMIUM.go(f"http://{WHERE}/")
    CHROMIUM.until(ROWS)
    check_failures(CHROMIUM, SERVER, f"http://{WHERE}/")
finally:
    CHROMIUM.close()
    for one in started:
        if one.poll() is None:
            one.kill()
            one.wait()
