/* One policy: its address, charts, events, tables and rules. */

/* ---- one policy: its address ---- */

const RANGES = ["10m", "1h", "6h", "24h", "7d", "30d"];
let route = {name: null}; /* what the address names: name, since, until, scope */

function address(name, how) {
  const p = new URLSearchParams();
  for (const key of ["since", "until", "scope"]) if (how && how[key] != null) p.set(key, how[key]);
  return "#/" + encodeURIComponent(name) + (how ? "?" + p : "?since=1h");
}

function readRoute() {
  const m = /^#\/([^?]+)\??(.*)$/.exec(location.hash), p = new URLSearchParams(m ? m[2] : "");
  try {
    return {name: m && decodeURIComponent(m[1]), since: p.get("since") || "1h", until: p.get("until"), scope: p.get("scope")};
  } catch (e) {
    return {name: null};
  }
}

const go = (how) => { location.hash = address(route.name, {since: route.since, until: route.until, scope: route.scope, ...how}); };
const iso = (s) => new Date(s * 1000).toISOString().slice(0, 19) + "Z";
/* Shows the time from `a` to `b`, in seconds; up to now if that is later. */
function goTo(a, b) {
  const long = Math.max(60, b - a), until = view.time - 5;
  if (b >= until) go({since: Math.round(long) + "s", until: null});
  else go({since: iso(a), until: iso(a + long)});
}

let view = null;   /* the last answer of .../past, with columns() */
let shownLog = []; /* of the policy */
let cursor = null; /* a column of `view` */

async function follow() {
  const before = route;
  route = readRoute();
  $("all").hidden = route.name != null;
  $("one").hidden = route.name == null;
  text($("skip"), route.name ? "Skip to " + route.name : "Skip to the policies");
  if (route.name == null) { if (seen) show(seen); if (before.name) { const r = rows.get(before.name); if (r) r.link.focus(); } return; }
  if (before.name !== route.name) {
    view = cursor = null; shownLog = [];
    for (const id of ["charts", "lane", "axis", "scopes", "versions", "outcomes", "events", "rules", "readout"]) fill($(id));
    text($("one-name"), route.name);
    text($("crumb"), route.name);
    ruled = null;
    $("one-name").focus({preventScroll: true});
    scrollTo(0, 0);
  }
  fill($("ranges"), ...RANGES.map((r) => el("a", {href: address(route.name, {since: r, scope: route.scope}), "aria-current": !route.until && route.since === r ? "true" : null}, r)));
  if (seen) show(seen);
  await updateOne();
}

/* ---- one policy: its columns of time ---- */

function sumOf(c) {
  const k = c.calls, failed = k.exhausted + k.refused, all = k.succeeded + failed + k.rejected + k.cancelled;
  const l = c.latency_ms.succeeded, whole = c.latency_ms.calls;
  return {begin: c.begin, end: c.end, calls: all, ok: k.succeeded, failed, refused: k.refused,
    retries: c.retries, p50: l.count ? l.p50 : null, p95: l.count ? l.p95 : null, whole95: whole.count ? whole.p95 : null,
    outcomes: c.outcomes, opened: c.opened, heat: c.heat, known: true};
}

/* Returns the columns by time.  What the history has only as a part of something long comes from the server's memory of the last minutes. */
function columns(v, now) {
  const all = v.columns.map(sumOf).reverse(), from = !route.scope && now && now.trend.policies[route.name], t = from && lines(from, now);
  const n = t ? t.calls.length : 0, step = now ? now.trend.step_s : 0, wide = v.until - v.since > 1300;
  const end = now ? now.host.time - v.clock_ahead_s - now.trend.age_ms / 1000 : 0, begin = end - n * step;
  const coarse = (c) => c.end > begin && c.begin < end && (!wide || c.end - c.begin > 2.5 * v.step_s);
  if (!n) return all;
  const out = all.filter((c) => !coarse(c)), fine = out.slice(), group = wide ? v.step_s : step;
  for (const c of all.filter(coarse)) {
    for (const [b, e] of [[c.begin, begin], [end, c.end]]) {
      if (e - b > step) out.push({...c, begin: b, end: e, ...scaled(c, (e - b) / (c.end - c.begin)), known: false});
    }
  }
  const groups = new Map();
  for (let i = 0; i < n; i++) {
    const b = begin + i * step, key = Math.floor(b / group), p95 = t.p95_ms[i];
    if (b < v.since || b + step > v.until + 1 || fine.some((c) => c.begin <= b && c.end > b)) continue;
    const g = groups.get(key) || {begin: b, calls: 0, failed: 0, refused: 0, retries: 0, p50: null, p95: null, outcomes: {}, opened: 0, known: true};
    for (const k of ["calls", "failed", "refused", "retries"]) g[k] += t[k][i] * step;
    g.p95 = p95 >= 0 ? Math.max(g.p95 || 0, p95) : g.p95;
    g.end = b + step;
    groups.set(key, g);
  }
  return out.concat([...groups.values()]).sort((a, b) => a.begin - b.begin);
}
const scaled = (c, by) => Object.fromEntries(["calls", "ok", "failed", "refused", "retries"].map((k) => [k, c[k] * by]));
const perS = (c, key) => c[key] / Math.max(0.001, c.end - c.begin);

/* ---- one policy: charts ---- */

const at = (t) => Math.min(1000, Math.max(0, 1000 * (t - view.since) / (view.until - view.since)));
const box = (c, low, high) => `M${at(c.begin).toFixed(1)} ${low.toFixed(1)}V${high.toFixed(1)}H${Math.max(at(c.begin) + 0.6, at(c.end)).toFixed(1)}V${low.toFixed(1)}Z`;

function nice(top) {
  const unit = 10 ** Math.floor(Math.log10(Math.max(top, 1e-3)));
  return [1, 2, 2.5, 5, 10].map((k) => k * unit).find((x) => x >= top * 0.999);
}

function chart(title, keys, height, labels, paths) {
  const pic = svg("svg", {viewBox: `0 0 1000 ${height}`, preserveAspectRatio: "none", "aria-hidden": "true", class: "h" + height});
  pic.append(...paths.filter((p) => p.d).map((p) => svg("path", p)),
    ...view.marks.map((m) => svg("path", {class: "mark " + m.kind, d: `M${at(m.when).toFixed(1)} 0V${height}`})));
  return el("div", {class: "plot"}, el("p", {class: "caption"}, el("b", {}, title), ...keys.map(([cls, words]) => el("span", {class: "key " + cls}, words))),
    el("div", {class: "ticks"}, ...labels.map(([y, words]) => { const e = el("span", {}, words); e.style.top = y + "%"; return e; })), pic);
}

const tick = (x) => x >= 1000 ? Math.round(x).toLocaleString("en") : String(+x.toPrecision(3));

/* Bars on top of each other: `parts` are [class, key of a column]. */
function bars(title, keys, parts, height, line) {
  const top = nice(Math.max(0.1, ...view.list.map((c) => parts.reduce((s, [, value]) => s + value(c), 0)), ...(line ? view.list.map(line) : [])));
  const paths = [{class: "grid", d: `M0 ${height / 2}H1000M0 0.5H1000`}], d = new Map();
  const y = (x) => height - (height - 1) * x / top;
  for (const c of view.list) {
    let sum = 0;
    for (const [cls, value] of parts) {
      const x = value(c), k = cls + (c.known ? "" : " part");
      if (x > 0) d.set(k, (d.get(k) || "") + box(c, y(sum), Math.min(y(sum + x), y(sum) - (cls === "ok" ? 0 : 1.5))));
      sum += x;
    }
  }
  for (const [cls, path_] of d) paths.push({class: "bar " + cls, d: path_});
  if (line) paths.push({class: "line retry", d: steps(line, y)});
  return chart(title, keys, height, [[0, tick(top)], [50, tick(top / 2)], [100, "0"]], paths);
}

const steps = (value, y) => {
  let d = "", last = -1e9;
  for (const c of view.list) {
    const x = value(c);
    if (x == null) { last = -1e9; continue; }
    d += (c.begin - last < 3 ? "L" : "M") + at(c.begin).toFixed(1) + " " + y(x).toFixed(1) + "H" + at(c.end).toFixed(1);
    last = c.end;
  }
  return d;
};

/* Attempts by latency and time: the darker, the more of the time's attempts. */
function heatMap(height) {
  const cells = view.columns.map(sumOf), lows = [...new Set(cells.flatMap((c) => c.heat.map((h) => h[0])))].sort((a, b) => a - b);
  const p95s = view.list.flatMap((c) => [c.p95, c.whole95]).filter((x) => x != null);
  const first = Math.max(0.001, Math.min(lows[0] || 1, ...p95s)), last = Math.max(first * 2, (lows[lows.length - 1] || 1) * 1.5, ...p95s);
  const y = (ms) => height - height * Math.log(Math.max(ms, first) / first) / Math.log(last / first);
  const level = [], paths = [];
  for (const c of cells) {
    const all = Math.max(1, c.heat.reduce((s, h) => s + h[1], 0));
    for (const [low, n] of c.heat) {
      const k = Math.min(6, Math.max(0, Math.floor(6.99 + Math.log2(n / all))));
      const half = Math.log2(low / 0.001024) % 1;
      level[k] = (level[k] || "") + box(c, y(low), y(low * (half < 0.3 || half > 0.9 ? 1.53 : 1.31)));
    }
  }
  level.forEach((d, k) => paths.push({class: "heat h" + k, d}));
  paths.push({class: "line p50", d: steps((c) => c.p50, y)}, {class: "line p95", d: steps((c) => c.p95, y)}, {class: "line whole95", d: steps((c) => c.whole95, y)});
  const ticks = [];
  for (let ms = 10 ** Math.ceil(Math.log10(first)); lows.length && ms <= last; ms *= 10) ticks.push([100 * y(ms) / height, time(ms)]);
  if (ticks.length < 2 && lows.length) ticks.push([0, time(last)], [100, time(first)]);
  return chart("Latency of attempts", [["k-heat", "share of the attempts"], ["k-p50", "p50 of succeeded"], ["k-p95", "p95"], ["k-whole95", "p95 of whole calls, with retries and waits"]], height, ticks, paths);
}

function axis() {
  const span = view.until - view.since, unit = [10, 30, 60, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 432000, 1728000].find((u) => span / u <= (innerWidth < 700 ? 4 : 9)) || 8640000;
  const zone = new Date(view.since * 1000).getTimezoneOffset() * 60, out = [];
  for (let t = Math.ceil((view.since - zone) / unit) * unit + zone; at(t) < (innerWidth < 700 ? 870 : 960); t += unit) {
    const d = new Date(t * 1000), time = (unit < 60 ? secondOf : minuteOf)(d);
    const day = d.toLocaleDateString("en", {month: "short", day: "numeric"});
    const e = el("span", {}, unit >= 86400 || time === "00:00" ? day : time);
    e.style.left = at(t) / 10 + "%";
    out.push(e);
  }
  return out;
}

/* ---- one policy: what happened ---- */

/* Returns the changes, warnings and breakers in the chosen time, the newest first.  A breaker that turns again within half an hour is one event. */
function eventsOf(v, log) {
  const out = log.map((c) => ({when: c.when - v.clock_ahead_s, kind: "change", version: c.version, title: "v" + c.version, what: c.what || "nothing", who: author(c), note: c.note, until: c.until}))
    .filter((e) => e.when >= v.since && e.when <= v.until), open = new Map();
  for (const e of v.events.slice().reverse()) { /* by time */
    if (e.kind !== "breaker") {
      const bad = ["", "warn", "crit"][e.to] || "";
      out.push({when: e.when, kind: e.kind === "warning" ? "warning" : "host", level: bad, title: e.kind === "warning" ? ["ok", "warning", "critical"][e.to] || "unknown" : "host", what: e.what || (e.to === 0 ? "back to normal" : "")});
      continue;
    }
    let one = open.get(e.scope);
    if (!one || e.when - one.end > 1800) {
      one = {when: e.when, kind: "breaker", title: "breaker", scope: e.scope, opened: 0};
      open.set(e.scope, one);
      out.push(one);
    }
    one.opened += e.to === 1; one.end = e.when; one.to = e.to;
  }
  for (const e of out) {
    if (e.kind !== "breaker") continue;
    e.what = (e.scope ? e.scope + ": " : "") + (e.opened ? "opened" + (e.opened > 1 ? ` ${e.opened} times` : "") : e.to ? "half open" : "closed") +
      (e.end - e.when >= 1 && e.opened ? (e.to === 0 ? ", closed " : e.to === 1 ? ", last " : ", half open ") + clock(e.end, v.time) : "");
  }
  return out.sort((a, b) => b.when - a.when);
}

const MARKS = {change: "◆", breaker: "▲", warning: "!", host: "●"};

function showEvents() {
  $("e-events").hidden = view.marks.length > 0;
  text($("e-events"), "No change, no warning and no breaker in this time.");
  text($("n-events"), view.marks.length ? String(view.marks.length) : "");
  fill($("events"), ...view.marks.slice(0, 60).map((m) => el("li", {},
    el("span", {}, el("span", {class: "symbol " + m.kind, "aria-hidden": "true"}, MARKS[m.kind]), el("b", {}, " " + m.title), m.who ? el("span", {class: "who"}, " by " + m.who) : null),
    el("time", {class: "right", datetime: iso(m.when)}, clock(m.when, view.time)),
    el("div", {}, m.what + (m.until ? ", until " + clock(m.until, view.time) : "")), m.note ? el("div", {class: "note"}, m.note) : null)));
  const lane = new Map();
  for (const m of view.marks) {
    const k = m.kind + Math.round(at(m.when) / 12), same = lane.get(k);
    lane.set(k, same ? {...same, n: same.n + 1} : {...m, n: 1});
  }
  fill($("lane"), ...[...lane.values()].map((m) => {
    const e = el("span", {class: "symbol " + m.kind, title: clock(m.when, view.time) + ", " + m.title + ": " + m.what + (m.who ? ", by " + m.who : "") + (m.note ? ": " + m.note : "")}, MARKS[m.kind]);
    e.style.left = at(m.when) / 10 + "%";
    return e;
  }));
}

/* ---- one policy: tables ---- */

const cellOf = (c, label) => Array.isArray(c) ? el("td", {class: c[0] || null, "data-label": label}, ...c.slice(1)) : el("td", {class: "number", "data-label": label}, c);

function table(name, heads, lines, empty) {
  return lines.length ? el("div", {class: "scroll", tabindex: "0", role: "group", "aria-label": name},
    el("table", {class: "plain"}, el("thead", {}, el("tr", {}, ...heads.map((h) => el("th", {scope: "col", class: h[0] === "<" ? null : "number"}, h.replace("<", ""))))),
      el("tbody", {}, ...lines.map((cells) => el("tr", {}, ...cells.map((c, i) => cellOf(c, heads[i].replace("<", ""))))))))
    : el("p", {class: "empty"}, empty);
}

const scopeName = (s) => s === "" ? "no scope" : s === "@others" ? "(others)" : s;
/* The figures of a sum; `old` are those before: what got worse stands out. */
function figures(s, old) {
  const cell = (value, was, words, worse) => ["number" + (old && was != null && value > was * 1.2 + worse ? " lost" : ""), words];
  const rates = (x) => x.calls > 0 ? {failed: x.failed / x.calls, refused: x.refused / x.calls, retries: x.retries / Math.max(1, x.calls - x.refused)} : {};
  const r = rates(s), o = old ? rates(old) : {};
  return [Math.round(s.calls).toLocaleString("en"), cell(r.failed, o.failed, share(s.failed, s.calls), 0.002), cell(r.refused, o.refused, share(s.refused, s.calls), 0.002),
    cell(r.retries, o.retries, share(s.retries, s.calls - s.refused), 0.005), cell(s.p95, old && old.p95, s.p95 == null ? "–" : time(s.p95), 0.5),
    cell(s.whole95, old && old.whole95, s.whole95 == null ? "–" : time(s.whole95), 0.5)];
}

function showTables(v) {
  const scopes = v.scopes.map((c) => ({...sumOf(c), scope: c.scope, breaker: c.breaker, budget: c.budget})), more = v.scopes_known - scopes.length;
  text($("n-scopes"), v.scopes_known > 1 ? many(v.scopes_known, "scope", "scopes") + (more > 0 ? `, the worst ${scopes.length} shown` : "") : "");
  keep($("scopes"), table("Scopes", ["<Scope", "Calls", "Failed", "Refused", "Retries", "p95", "Call p95", "<Breaker", "<Budget"], scopes.map((s) => {
    const b = breaker(s.breaker);
    return [["name", el("a", {href: address(route.name, {since: route.since, until: route.until, scope: route.scope === s.scope ? null : s.scope})}, scopeName(s.scope))],
      ...figures(s), ["", el("span", {class: "badge " + b.level}, b.word)], ["budget", ...budget(s.budget)]];
  }), "No calls in this time."));
  const picked = route.scope == null ? "*" : "=" + route.scope, names = ["*", ...scopes.map((s) => "=" + s.scope)];
  if (!names.includes(picked)) names.push(picked);
  if ($("scope").dataset.names !== names.join()) {
    $("scope").dataset.names = names.join();
    fill($("scope"), ...names.map((n) => el("option", {value: n}, n === "*" ? "all" : scopeName(n.slice(1)))));
  }
  $("scope").value = picked;
  $("scope").parentElement.hidden = names.length < 3 && picked === "*";
  const outcomes = new Map();
  for (const c of v.columns) for (const [o, n] of Object.entries(c.outcomes)) outcomes.set(o, (outcomes.get(o) || 0) + n);
  const ranked = [...outcomes].sort((a, b) => b[1] - a[1]), sum = ranked.reduce((s, o) => s + o[1], 0);
  text($("n-outcomes"), sum ? many(sum, "attempt", "attempts") + (route.scope != null ? " of " + scopeName(route.scope) : "") : "");
  fill($("outcomes"), ...ranked.slice(0, 10).map(([o, n]) => el("li", {}, el("span", {class: "name"}, o), wideMeter(n / sum), el("span", {class: "number"}, share(n, sum)))));
  $("e-outcomes").hidden = sum > 0;
  text($("e-outcomes"), "No attempt failed in this time.");
  const versions = v.versions.map((c) => ({...sumOf(c), number: c.number}));
  keep($("versions"), table("Versions", ["<Version", "Calls", "Failed", "Refused", "Retries", "p95", "Call p95", "<Made by"], versions.map((s, i) => {
    const c = shownLog.find((x) => x.version === s.number);
    return [["name", s.number ? "v" + s.number : "not defined"], ...figures(s, versions[i + 1]),
      ["wrap", c ? author(c) + ", " + clock(c.when, v.time) + (c.note ? ": " + c.note : "") : ""]];
  }), "No calls in this time."));
}
const wideMeter = (x) => { const m = meter(x); m.className = "meter"; return m; };
/* Replaces the content, but neither the focus in it nor how far it is scrolled. */
function keep(e, now) {
  const old = e.firstChild, links = [...e.querySelectorAll("a, [tabindex]")], i = links.indexOf(document.activeElement), left = old ? old.scrollLeft : 0;
  fill(e, now);
  now.scrollLeft = left;
  if (i >= 0) { const again = e.querySelectorAll("a, [tabindex]")[i]; if (again) again.focus({preventScroll: true}); }
}

/* ---- one policy: rules ---- */

let ruled = null; /* the rules shown: version and whether declared */

async function showRules(p) {
  const key = route.name + " " + (p ? p.data.version + " " + JSON.stringify(p.data.layers || "") : "");
  if (ruled === key) return;
  ruled = key;
  const name = encodeURIComponent(route.name), parts = [];
  const none = {ok: false, body: {}}, ask = (x, want) => want ? fetchJson(`/api/policies/${name}/${x}`).catch(() => none) : none;
  const [rules, declared, log] = await Promise.all([ask("rules", p && p.defined), ask("declared", p && p.data.declared_by), ask("log", p && p.defined)]);
  if (ruled !== key) return;
  shownLog = log.ok ? log.body.changes : [];
  for (const [title, r] of [["Resolved", rules], ["Declared by a program", declared]]) {
    if (!r.ok) continue;
    const lines = Object.entries(r.body.keys).filter(([, k]) => $("all-rules").checked || k.from !== "default")
      .map(([n, k]) => [["name", n], ["wrap", k.value === "" ? "–" : k.value], ["", k.from === route.name ? "this policy" : k.from]]);
    parts.push(el("div", {}, el("h3", {}, title + (r.body.version ? ", version " + r.body.version : "")), table(title + " rules", ["<Key", "<Value", "<From"], lines, "Only defaults.")));
  }
  fill($("rules"), ...parts, parts.length ? null : el("p", {class: "empty"}, rules.body.error || "No rules are known."));
  if (view) drawOne();
}
$("all-rules").addEventListener("change", () => { ruled = null; if (seen) show(seen); });

/* ---- one policy: now ---- */

function showState(p, found, now) {
  const alerts = found.filter((f) => f.name === route.name);
  if (p) {
    fill($("one-badges"), ...p.alarm && p.alarm.level !== "ok" ? [el("span", {class: "badge " + (p.alarm.level === "critical" ? "crit" : "warn")}, p.alarm.level)] : [],
      p.breaker.rank ? el("span", {class: "badge " + p.breaker.level}, "breaker " + p.breaker.word) : null, p.data.paused ? el("span", {class: "badge warn"}, "paused") : null,
      el("span", {class: "muted"}, p.rates ? `now ${rate(p.rates.calls_per_s)} calls/s, ${rate(p.rates.failed_per_s)} failed/s` + (p.where ? ` in ${p.where.scope || "no scope"}` : "") + (p.why ? `, ${p.why}` : "") + (p.sleeping ? `, ${p.sleeping} waiting` : "") : ""));
    text($("one-about"), about(p, now));
  } else {
    fill($("one-badges"));
    text($("one-about"), "There is no policy of this name, and no program uses it.");
  }
  fill($("one-alerts"), ...alerts.slice(0, 6).map((f) => alertItem(f, false)));
  $("one-alerts").hidden = alerts.length === 0;
  showRules(p);
  showFoot(now);
}

function readout() {
  const c = cursor != null && view.list[cursor];
  const words = (c) => `${clock(c.begin, view.time)} to ${clock(c.end, view.time).split(" ").pop()}: ${rate(perS(c, "calls"))} calls/s, failed ${share(c.failed, c.calls)} (refused ${share(c.refused, c.calls)}), ` +
    `retries ${share(c.retries, c.calls - c.refused)}` + (c.p95 != null ? `, p95 ${time(c.p95)}` : "") + (c.whole95 != null ? `, of whole calls ${time(c.whole95)}` : "") + (c.opened ? `, breaker opened ${many(c.opened, "time", "times")}` : "") +
    Object.entries(c.outcomes).sort((a, b) => b[1] - a[1]).slice(0, 2).map(([o, n]) => `, ${o} ${Math.round(n)}`).join("") + (c.known ? "" : " (average: nothing was recorded in between)");
  const all = view.list.reduce((s, c) => ({calls: s.calls + c.calls, failed: s.failed + c.failed, refused: s.refused + c.refused}), {calls: 0, failed: 0, refused: 0});
  text($("readout"), c ? words(c) : view.list.length ? `${clock(view.since, view.time)} to ${clock(view.until, view.time)}: ${Math.round(all.calls).toLocaleString("en")} calls, failed ${share(all.failed, all.calls)}, refused ${share(all.refused, all.calls)}` : "Nothing was counted in this time.");
  $("plots").setAttribute("aria-valuemax", String(Math.max(0, view.list.length - 1)));
  $("plots").setAttribute("aria-valuenow", String(cursor ?? Math.max(0, view.list.length - 1)));
  $("plots").setAttribute("aria-valuetext", $("readout").textContent);
  let line = $("charts").querySelector(".cursor");
  if (!c) { if (line) line.remove(); return; }
  if (!line) { line = el("div", {class: "cursor"}); $("charts").append(line); }
  line.style.setProperty("--f", (at(c.begin) + at(c.end)) / 2000);
}

function drawOne() {
  const v = view, ahead = Math.abs(v.clock_ahead_s) > 1;
  v.list = columns(v, seen).filter((c) => c.end > v.since && c.begin < v.until);
  v.marks = eventsOf(v, shownLog);
  cursor = cursor != null && cursor < v.list.length ? cursor : null;
  const exhausted = (c) => perS(c, "failed") - perS(c, "refused"), good = (c) => Math.max(0, perS(c, "calls") - perS(c, "failed"));
  fill($("charts"), bars("Calls per second", [["k-ok", "ok"], ["k-lost", "failed"], ["k-refused", "refused"]],
    [["ok", good], ["lost", exhausted], ["refused", (c) => perS(c, "refused")]], 120),
    bars("Failed calls and retries per second", [["k-lost", "failed after all attempts"], ["k-refused", "refused"], ["k-retry", "retries"]],
      [["lost", exhausted], ["refused", (c) => perS(c, "refused")]], 80, (c) => perS(c, "retries")),
    heatMap(140));
  fill($("axis"), ...axis());
  showEvents();
  showTables(v);
  readout();
  const notes = [v.history_error ? `The history cannot be read: ${v.history_error}. ${v.history_next}` : !v.recorded ? "Nothing is recorded, so only the last minutes are known in detail. To keep history: bide record --every 1m" : "",
    v.wanted != null && v.since - v.wanted > v.step_s ? "There is more history than can be shown at once: this begins " + clock(v.since, v.time) + "." : "",
    ahead ? `The clock of this host was set: it is ${time(Math.abs(v.clock_ahead_s) * 1000)} ${v.clock_ahead_s > 0 ? "ahead of" : "behind"} the history.` : "",
    v.list.some((c) => !c.known || c.end - c.begin > 2.5 * v.step_s) ? "Pale bars are averages over a time in which nothing was recorded." : ""];
  text($("one-note"), notes.filter(Boolean).join(" "));
  $("one-note").hidden = !notes.some(Boolean);
  const local = (s) => { const d = new Date(s * 1000); return dayOf(d) + "T" + secondOf(d); };
  if (!$("custom").contains(document.activeElement)) { $("from").value = local(v.since); $("to").value = route.until ? local(v.until) : ""; }
}

let asked = 0, asking1 = false;
async function updateOne() {
  if (!route.name) return;
  const mine = ++asked, r = route, p = new URLSearchParams({since: r.since});
  if (r.until) p.set("until", r.until);
  if (r.scope != null) p.set("scope", r.scope);
  let answer;
  asking1 = true;
  try {
    answer = await fetchJson(`/api/policies/${encodeURIComponent(r.name)}/past?${p}`);
  } catch (e) {
    return; /* the next request of /api/now reports the error */
  } finally {
    asking1 = false;
  }
  if (mine !== asked || route !== r) return;
  if (!answer.ok) {
    if (answer.status === 503 && view) return; /* busy: the next one */
    text($("one-note"), answer.body.error || "HTTP " + answer.status);
    $("one-note").hidden = false;
    return;
  }
  view = answer.body;
  drawOne();
}

/* ---- one policy: keyboard and pointer ---- */

const middle = () => view && (cursor != null && view.list[cursor] ? (view.list[cursor].begin + view.list[cursor].end) / 2 : (view.since + view.until) / 2);
const span = () => view.until - view.since;
const zoom = (by, around) => goTo(around - span() * by / 2, around + span() * by / 2);
const turn = (by) => goTo(view.since + span() * by, view.until + span() * by);
for (const [id, act] of [["earlier", () => turn(-0.5)], ["later", () => turn(0.5)], ["in", () => zoom(0.5, middle())], ["out", () => zoom(2, middle())]]) {
  $(id).addEventListener("click", () => { if (view) act(); });
}
$("scope").addEventListener("change", () => go({scope: $("scope").value === "*" ? null : $("scope").value.slice(1)}));
$("custom").addEventListener("submit", (e) => {
  const s = (id) => iso(new Date($(id).value).getTime() / 1000);
  e.preventDefault();
  go({since: s("from"), until: $("to").value ? s("to") : null});
});
$("plots").addEventListener("keydown", (e) => {
  if (!view || e.ctrlKey || e.altKey || e.metaKey) return;
  const last = view.list.length - 1, move = {ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageDown: -10, PageUp: 10}[e.key];
  if (move) cursor = Math.max(0, Math.min(last, (cursor ?? last + (move < 0 ? 1 : 0)) + move));
  else if (e.key === "Home") cursor = 0;
  else if (e.key === "End") cursor = last;
  else if (e.key === "+" || e.key === "=" || e.key === "Enter") { zoom(0.5, middle()); cursor = null; }
  else if (e.key === "-") zoom(2, middle());
  else return;
  e.preventDefault();
  if (last >= 0 && !$("one").hidden) readout();
});
/* Returns the time below the pointer. */
function timeAt(e) {
  const r = $("axis").getBoundingClientRect();
  return view.since + span() * Math.min(1, Math.max(0, (e.clientX - r.left) / r.width));
}
let dragged = null;
$("charts").addEventListener("pointermove", (e) => {
  if (!view) return;
  const t = timeAt(e), i = view.list.findIndex((c) => c.begin <= t && c.end > t);
  cursor = i >= 0 ? i : null;
  readout();
  if (dragged == null) return;
  let area = $("charts").querySelector(".drag");
  if (!area) { area = el("div", {class: "drag"}); $("charts").append(area); }
  area.style.setProperty("--f", at(Math.min(t, dragged)) / 1000);
  area.style.setProperty("--w", Math.abs(at(t) - at(dragged)) / 1000);
});
$("charts").addEventListener("pointerdown", (e) => { if (view && e.button === 0 && e.pointerType === "mouse") { dragged = timeAt(e); $("charts").setPointerCapture(e.pointerId); } });
$("charts").addEventListener("pointerup", (e) => {
  const from = dragged, to = view ? timeAt(e) : 0, area = $("charts").querySelector(".drag");
  dragged = null;
  if (area) area.remove();
  if (from != null && Math.abs(at(from) - at(to)) > 15) goTo(Math.min(from, to), Math.max(from, to));
});
$("charts").addEventListener("pointerleave", () => { if (view && dragged == null) { cursor = null; readout(); } });
document.addEventListener("keydown", (e) => {
  const typing = e.target.matches("input, select, textarea");
  if (e.ctrlKey || e.altKey || e.metaKey) return;
  if (e.key === "Escape" && route.name && !typing) location.hash = "#/";
  else if (e.key === "/" && !typing && !route.name) { $("filter").focus(); e.preventDefault(); }
  else if (e.target.matches(".open") && (e.key === "ArrowDown" || e.key === "ArrowUp")) {
    const links = [...document.querySelectorAll(".row .open")], to = links[links.indexOf(e.target) + (e.key === "ArrowDown" ? 1 : -1)];
    if (to) { to.focus(); e.preventDefault(); }
  }
});
addEventListener("hashchange", follow);
