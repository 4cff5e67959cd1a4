"use strict";
/* Names, notes and outcomes come from users and programs: every text is set as
 * textContent and never parsed as HTML. */

const EVERY_MS = 2000, PATIENCE_MS = 5000, ROWS_MOST = 200;
const SVG = "http://www.w3.org/2000/svg";
const $ = (id) => document.getElementById(id);

/* ---- making elements ---- */

function el(tag, attributes, ...inside) {
  const e = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === true) e.setAttribute(key, "");
    else if (value !== false && value != null) e.setAttribute(key, value);
  }
  e.append(...inside.filter((x) => x != null));
  return e;
}
const text = (e, value) => { if (e.textContent !== value) e.textContent = value; };
const fill = (e, ...inside) => e.replaceChildren(...inside.filter((x) => x != null));

/* ---- numbers with their units ---- */

function rate(x) {
  if (x === 0) return "0";
  if (x < 0.05) return "<0.1";
  if (x < 99.95) return x.toFixed(1);
  return Math.round(x).toLocaleString("en");
}
function share(part, whole) {
  if (!(whole > 0)) return part > 0 ? rate(part) + "/s" : "–";
  const pct = 100 * part / whole;
  if (pct > 0 && pct < 0.1) return "<0.1%";
  return (pct >= 99.95 ? Math.round(pct).toLocaleString("en") : pct.toFixed(1)) + "%";
}
function time(ms) {
  if (ms < 0.995) return Math.max(1, Math.round(ms * 1000)) + "µs";
  if (ms < 9.95) return ms.toFixed(1) + "ms";
  if (ms < 999.5) return Math.round(ms) + "ms";
  if (ms < 9950) return (ms / 1000).toFixed(1) + "s";
  if (ms < 119500) return Math.round(ms / 1000) + "s";
  if (ms < 7170000) return Math.round(ms / 60000) + "m";
  return Math.round(ms / 3600000) + "h";
}
function clock(seconds, now) {
  const d = new Date(seconds * 1000), n = new Date(now * 1000);
  const two = (x) => String(x).padStart(2, "0");
  const at = two(d.getHours()) + ":" + two(d.getMinutes()) + ":" + two(d.getSeconds());
  const day = d.getFullYear() + "-" + two(d.getMonth() + 1) + "-" + two(d.getDate());
  n.setHours(0, 0, 0, 0);
  const days = Math.round((n - new Date(d.getFullYear(), d.getMonth(), d.getDate())) / 864e5);
  return days === 0 ? "today " + at : days === 1 ? "yesterday " + at : day + " " + at;
}
const many = (n, one, more) => n.toLocaleString("en") + " " + (n === 1 ? one : more);

/* ---- breakers and budgets in words ---- */

function breaker(b) {
  if (!b || b.mode === "off") return {word: "–", level: "none", rank: 0};
  if (b.damaged) return {word: "damaged", level: "crit", rank: 4};
  if (b.mode === "open") return {word: "forced open", level: "crit", rank: 4};
  if (b.mode === "closed") return {word: "forced closed", level: "warn", rank: 1.5};
  if (b.state === "open") return {word: "OPEN " + time(b.open_for_ms), level: "crit", rank: 3};
  if (b.state === "half open") return {word: "half open", level: "warn", rank: 2};
  return {word: "closed", level: "ok", rank: 1};
}
function percent(level) {
  const p = level * 100;
  return Math.round(p > 0 && p < 1 ? 1 : p > 99 && p < 100 ? 99 : p);
}
function meter(level) {
  const bar = el("i");
  bar.style.width = Math.min(100, Math.max(0, level * 100)) + "%";
  return el("span", {class: "meter" + (level < 0.2 ? " low" : ""), "aria-hidden": "true"}, bar);
}
function budget(b) {
  if (!b || b.group === "none") return [document.createTextNode("–")];
  return [meter(b.level), document.createTextNode(percent(b.level) + "%")];
}

/* ---- lines over the last minutes ---- */

/* Returns an SVG path through `values`, the newest of `points` points; a
 * negative value is a gap.  `top` is the value at the upper edge. */
function path(values, points, height, top) {
  const step = 100 / (points - 1), first = points - values.length;
  let d = "", pen = false;
  values.forEach((v, i) => {
    if (v < 0) { pen = false; return; }
    const x = (first + i) * step, y = height - (top > 0 ? v / top : 0) * (height - 2) - 1;
    d += (pen ? "L" : "M") + x.toFixed(2) + " " + y.toFixed(2);
    if (!pen && (i + 1 === values.length || values[i + 1] < 0)) d += "h0.01";
    pen = true;
  });
  return d;
}
function svg(tag, attributes) {
  const e = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
  return e;
}
/* The number of points to draw: fewer than all in the first minutes. */
const drawn = (now) => Math.min(now.trend.points, Math.max(18, now.trend.known));
const minutes = (now) => Math.round(drawn(now) * now.trend.step_s / 60);
/* Draws `lines`, [{values, name, area}], with one scale for all. */
function draw(box, lines, points, height, label) {
  const top = Math.max(1e-9, ...lines.flatMap((l) => l.values));
  const parts = [];
  for (const l of lines) {
    if (!l.values.length) continue;
    const d = path(l.values, points, height, top);
    if (l.area && d) {
      const x = (points - l.values.length) * 100 / (points - 1);
      parts.push(svg("path", {class: "area", d: d + `L100 ${height}L${x.toFixed(2)} ${height}Z`}));
    }
    parts.push(svg("path", {class: "line " + l.name, d}));
  }
  box.setAttribute("aria-label", label);
  box.replaceChildren(...parts);
}
const picture = (cls, height) =>
  svg("svg", {class: cls, viewBox: `0 0 100 ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": ""});

/* ---- the table of policies ---- */

const COLUMNS = [
  {key: "name", title: "Policy", by: (p) => p.name, first: "ascending"},
  {key: "calls", title: "Calls/s", by: (p) => p.rates ? p.rates.calls_per_s : -1, number: true},
  {key: "retries", title: "Retries", by: (p) => p.retryShare, number: true},
  {key: "lost", title: "Failed/s", by: (p) => p.rates ? p.rates.failed_per_s : -1, number: true},
  {key: "p95", title: "p50 · p95 · p99", by: (p) => p.latency ? p.latency.p95 : -1, number: true},
  {key: "breaker", title: "Breaker", by: (p) => p.breaker.rank},
  {key: "budget", title: "Budget", by: (p) => p.level == null ? 2 : p.level, first: "ascending"},
  {key: "sleeping", title: "Waiting", by: (p) => p.sleeping, number: true},
];
let sorted = {key: "name", order: "ascending"};
const rows = new Map(); /* by name */
let seen = null;        /* the last answer of /api/now */

function sortBy(key, order) {
  const c = COLUMNS.find((x) => x.key === key);
  if (!order) {
    order = sorted.key === key ? (sorted.order === "ascending" ? "descending" : "ascending")
                               : c.first || "descending";
  }
  sorted = {key, order};
  for (const th of $("heads").children) {
    if (th.dataset.key === key) th.setAttribute("aria-sort", order);
    else th.removeAttribute("aria-sort");
  }
  $("sort").value = key;
  if (seen) showPolicies(seen);
}

function makeHeads() {
  for (const c of COLUMNS) {
    const button = el("button", {type: "button"}, c.title);
    button.addEventListener("click", () => sortBy(c.key));
    $("heads").append(el("th", {role: "columnheader", scope: "col", "data-key": c.key, class: c.number ? "number" : null}, button));
    $("sort").append(el("option", {value: c.key}, c.title));
  }
  $("sort").addEventListener("change", () => sortBy($("sort").value,
    COLUMNS.find((c) => c.key === $("sort").value).first || "descending"));
  $("filter").addEventListener("input", () => { if (seen) showPolicies(seen); });
  sortBy("name", "ascending");
}

/* Returns the policies, each with its figures from all parts of the answer. */
function joinParts(now) {
  const levels = new Map(((now.check || {}).policies || []).map((c) => [c.policy, c]));
  return now.list.policies.map((p) => {
    const t = now.trend.policies[p.policy];
    const rates = t && t.now.over_ms >= 500 ? t.now : null;
    const alarm = levels.get(p.policy);
    return {
      name: p.policy, data: p, alarm, rates,
      defined: p.version != null, sleeping: p.sleeping || 0,
      trend: t ? t.trend : null,
      latency: t && t.latency_ms.count > 0 ? t.latency_ms : null,
      retryShare: rates && rates.calls_per_s > rates.refused_per_s
        ? rates.retries_per_s / (rates.calls_per_s - rates.refused_per_s) : rates && rates.retries_per_s > 0 ? 1e9 : -1,
      breaker: breaker(p.breaker),
      level: p.budget && p.budget.group !== "none" ? p.budget.level : null,
    };
  });
}

function makeRow(name) {
  const r = {open: false};
  r.button = el("button", {type: "button", class: "open", "aria-expanded": "false"}, name);
  r.button.addEventListener("click", () => toggle(name));
  r.about = el("span", {class: "about"});
  r.calls = el("b"); r.spark = picture("spark", 30);
  r.retries = el("span"); r.lost = el("span");
  r.p = [el("span"), el("span"), el("span")]; r.slow = picture("spark", 30);
  r.breaker = el("span", {class: "badge"});
  r.budget = el("span", {class: "budget"}); r.sleeping = el("span");
  const cell = (label, cls, ...inside) => el("td", {role: "cell", "data-label": label, class: cls}, ...inside);
  r.row = el("tr", {class: "row", role: "row"},
    el("td", {role: "cell", class: "full"}, r.button, r.about),
    cell("Calls/s", "number full", el("span", {class: "pair"}, r.spark, r.calls)),
    cell("Retries", "number", r.retries),
    cell("Failed/s", "number", r.lost),
    cell("p50 · p95 · p99", "number full", el("span", {class: "pair"}, r.slow, el("span", {class: "latency"}, ...r.p))),
    cell("Breaker", "", r.breaker),
    cell("Budget", "", r.budget),
    cell("Waiting", "number", r.sleeping));
  rows.set(name, r);
  return r;
}

function elsewhere(yes) {
  return yes ? " in another container" : "";
}

function about(p, now) {
  const d = p.data;
  if (!p.defined) {
    const by = d.declared_by
      ? [": declared", d.declared_pid, d.declared_by + (d.declared_ended ? ", which has ended" : ""), d.declared_other_container]
      : [": used", d.asked_by, d.program, d.other_container];
    return "not defined" + (by[1] ? `${by[0]} by pid ${by[1]} ${by[2] || ""}${elsewhere(by[3])}` : "") +
      (d.default ? " · default applies" : "") + (d.rules ? " · " + d.rules : "");
  }
  if (d.rules == null) return "v" + d.version + " · not valid: bide show " + p.name;
  const rejected = p.rates && p.rates.rejected_per_s > 0 ? rate(p.rates.rejected_per_s) + "/s rejected · " : "";
  return (d.paused ? "PAUSED · " : "") + rejected + "v" + d.version + " · " + d.importance + " · " + d.rules +
    (d.layers || []).map((l) => " · " + Object.entries(l.keys).map(([k, v]) => k + " is " + (v ?? "not set")).join(", ") +
      " until " + clock(l.until, now.host.time) + " (version " + l.version + (l.inherited_from ? " of " + l.inherited_from : "") + ", " + author(l) + ")").join("");
}

function updateRow(r, p, now) {
  const points = drawn(now), t = p.trend;
  const level = p.alarm && p.alarm.level === "critical" || p.breaker.level === "crit" ? "crit"
    : p.alarm && p.alarm.level === "warning" || p.data.paused || !p.defined || p.data.rules === null ? "warn" : "";
  r.row.className = "row " + level;
  text(r.about, about(p, now));
  const yet = t ? "…" : "–"; /* known soon; the policy was never used */
  text(r.calls, p.rates ? rate(p.rates.calls_per_s) : yet);
  text(r.retries, p.rates ? share(p.rates.retries_per_s, p.rates.calls_per_s - p.rates.refused_per_s) : yet);
  r.retries.className = p.retryShare > 0.2 ? "hot" : "";
  const lost = p.rates ? p.rates.failed_per_s : null;
  text(r.lost, p.rates ? rate(lost) : yet);
  r.lost.className = lost > 0 ? "lost" : "";
  [50, 95, 99].forEach((q, i) => text(r.p[i], p.latency ? time(p.latency["p" + q]) : "–"));
  text(r.breaker, p.breaker.word);
  r.breaker.className = "badge " + p.breaker.level;
  fill(r.budget, ...budget(p.data.budget));
  text(r.sleeping, p.sleeping ? String(p.sleeping) : "–");
  const nil = (e, is) => e.closest("td").classList.toggle("nil", is);
  nil(r.breaker, p.breaker.level === "none");
  nil(r.budget, p.level == null);
  nil(r.sleeping, !p.sleeping);
  const none = {calls: [], retries: [], p95_ms: []}, s = t || none;
  const top = (a) => Math.max(0, ...a);
  draw(r.spark, [{values: s.calls, name: "", area: true}, {values: s.retries, name: "retry"}], points, 30,
    `calls in the last ${minutes(now)} minutes: up to ${rate(top(s.calls))} per second, retries up to ${rate(top(s.retries))}`);
  draw(r.slow, [{values: s.p95_ms, name: ""}], points, 30,
    `p95 in the last ${minutes(now)} minutes: up to ${top(s.p95_ms) > 0 ? time(top(s.p95_ms)) : "nothing"}`);
}

function showPolicies(now) {
  const all = joinParts(now), wanted = $("filter").value.trim().toLowerCase();
  const by = COLUMNS.find((c) => c.key === sorted.key).by, sign = sorted.order === "ascending" ? 1 : -1;
  const found = all.filter((p) => p.name.includes(wanted)).sort((a, b) => {
    const x = by(a), y = by(b);
    return x < y ? -sign : x > y ? sign : a.name < b.name ? -1 : 1;
  });
  const shown = found.slice(0, ROWS_MOST), order = [], focused = document.activeElement;
  for (const p of shown) {
    const r = rows.get(p.name) || makeRow(p.name);
    updateRow(r, p, now);
    order.push(r.row);
    if (r.open) { order.push(r.more); updateMore(r, p, now); }
  }
  const body = $("rows");
  order.forEach((row, i) => { if (body.children[i] !== row) body.insertBefore(row, body.children[i] || null); });
  while (body.children.length > order.length) body.lastChild.remove();
  if (focused && focused !== document.activeElement && focused.isConnected) focused.focus();
  const names = new Set(all.map((p) => p.name));
  for (const name of rows.keys()) if (!names.has(name)) rows.delete(name);
  text($("n-list"), (wanted ? found.length + " of " : "") + many(all.length, "policy", "policies") +
    (found.length > ROWS_MOST ? `, the first ${ROWS_MOST} shown: filter for others` : "") +
    (now.trend.known ? "" : " · lines appear after 10 seconds"));
  text($("e-list"), all.length === 0 ? "There are no policies yet. Add some with bide apply FILE"
    : found.length === 0 ? "No policy name contains this text." : "");
  $("list").hidden = found.length === 0;
  $("e-list").hidden = found.length > 0;
  return all;
}

/* ---- one policy in detail ---- */

function toggle(name) {
  const r = rows.get(name);
  r.open = !r.open;
  r.button.setAttribute("aria-expanded", String(r.open));
  if (r.open && !r.more) {
    r.chart = picture("chart", 90); r.slowChart = picture("chart", 90);
    r.chartTop = el("span"); r.slowTop = el("span");
    r.scopes = el("div", {class: "wide"}); r.outcomes = el("div", {class: "wide"});
    r.ago = [el("span"), el("span")];
    const axis = (i) => el("div", {class: "axis"}, r.ago[i], el("span", {}, "now"));
    r.more = el("tr", {class: "more", role: "row"}, el("td", {role: "cell", colspan: COLUMNS.length}, el("div", {class: "cols"},
      el("div", {}, el("h3", {}, "Per second, ", r.chartTop), r.chart, axis(0),
        el("div", {class: "key"}, el("span", {}, "calls"), el("span", {class: "k-retry"}, "retries"), el("span", {class: "k-lost"}, "failed calls"))),
      el("div", {}, el("h3", {}, "p95 of succeeded attempts, ", r.slowTop), r.slowChart, axis(1)),
      r.scopes, r.outcomes)));
  }
  if (r.open) { fetchMore(name, r); } else if (r.more) { r.more.remove(); }
  if (seen) showPolicies(seen);
}

function updateMore(r, p, now) {
  const t = p.trend || {calls: [], retries: [], failed: [], p95_ms: []}, points = drawn(now);
  const top = Math.max(0, ...t.calls, ...t.retries), slow = Math.max(0, ...t.p95_ms);
  for (const ago of r.ago) text(ago, minutes(now) + " minutes ago");
  text(r.chartTop, "up to " + rate(top));
  text(r.slowTop, slow > 0 ? "up to " + time(slow) : "none yet");
  draw(r.chart, [{values: t.calls, name: "", area: false}, {values: t.retries, name: "retry"}, {values: t.failed, name: "lost"}],
    points, 90, "calls, retries and failed calls per second, up to " + rate(top));
  draw(r.slowChart, [{values: t.p95_ms, name: ""}], points, 90, "p95, " + r.slowTop.textContent);
}

async function fetchMore(name, r) {
  let answer;
  try {
    answer = await fetchJson("/api/policies/" + encodeURIComponent(name));
  } catch (e) {
    return; /* the next request of /api/now reports the error */
  }
  if (!answer.ok) { fill(r.scopes, el("p", {class: "muted"}, answer.body.error || "no figures")); return; }
  const all = answer.body.policies, outcomes = new Map();
  for (const c of all) for (const [o, n] of Object.entries(c.outcomes)) outcomes.set(o, (outcomes.get(o) || 0) + n);
  const body = el("tbody");
  for (const c of all.slice(0, 50)) {
    const k = c.calls, n = k.succeeded + k.exhausted + k.refused + k.rejected + k.cancelled;
    const b = breaker(c.breaker);
    body.append(el("tr", {}, el("td", {class: "name"}, c.scope === "" ? "–" : c.scope === "@others" ? "(others)" : c.scope),
      el("td", {class: "number"}, n.toLocaleString("en")), el("td", {class: "number"}, n ? share(k.succeeded, n) : "–"),
      el("td", {class: "number"}, c.retries.toLocaleString("en")),
      el("td", {class: "number"}, c.latency_ms.succeeded.count ? time(c.latency_ms.succeeded.p95) : "–"),
      el("td", {}, el("span", {class: "badge " + b.level}, b.word)), el("td", {}, ...budget(c.budget))));
  }
  const heads = ["Scope", "Calls", "Succeeded", "Retries", "p95", "Breaker", "Budget"];
  const titled = (i) => el("th", {scope: "col", class: i > 0 && i < 5 ? "number" : null}, heads[i]);
  fill(r.scopes, el("h3", {}, "By scope, since the live state was created" + (all.length > 50 ? ", the first 50" : "")),
    all.length ? el("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": "Scopes of " + name},
      el("table", {}, el("thead", {}, el("tr", {}, ...heads.map((_, i) => titled(i)))), body)) : el("p", {class: "muted"}, "No calls yet."));
  const ranked = [...outcomes].sort((a, b) => b[1] - a[1]), sum = ranked.reduce((s, o) => s + o[1], 0);
  fill(r.outcomes, ranked.length ? el("h3", {}, "Outcomes of failed attempts") : null,
    ranked.length ? el("ul", {class: "bars"}, ...ranked.slice(0, 8).map(([o, n]) =>
      el("li", {}, el("span", {class: "name"}, o), meterOf(n / sum), el("span", {class: "number"}, share(n, sum))))) : null);
}
const meterOf = (x) => { const m = meter(x); m.className = "meter"; return m; };

/* ---- alerts ---- */

function findAlerts(all, now) {
  const found = [], add = (level, word, what, next) => found.push({level, word, what, next});
  const h = now.host;
  if (h.trouble && h.time - h.trouble_at < 600) {
    add("crit", "registry", `a service could not read the registry, ${clock(h.trouble_at, h.time)}: ${h.trouble}`, "bide list");
  }
  if (h.not_counted) add("crit", "not counted", h.not_counted, "bide doctor");
  for (const [part, word] of [["check", "warnings"], ["log", "changes"], ["calls", "calls"]]) {
    const e = now[part + "_error"];
    if (e) add("warn", word, e.error, e.next || "");
  }
  for (const p of all) {
    const d = p.data, a = p.alarm;
    if (a && a.level !== "ok") {
      add(a.level === "critical" ? "crit" : "warn", a.level, `${p.name}: ${a.why}` +
        (a.since ? ", since " + clock(a.since, h.time) : ""),
        a.level === "unknown" ? "bide record --every 1m" : a.why.startsWith("breaker") ? `bide breaker ${p.name}` : `bide stats ${p.name} --since -1h`);
    }
    if (p.breaker.rank > 1 && !(a && a.why.startsWith("breaker"))) add(p.breaker.level, "breaker", `${p.name}: ${p.breaker.word}`, `bide breaker ${p.name}`);
    if (d.paused) add("warn", "paused", `${p.name}: new calls are refused`, `bide resume ${p.name}`);
    if (d.budget && d.budget.damaged) add("crit", "budget", `${p.name}: its live state is damaged; calls continue`, `bide budget ${p.name} reset`);
    else if (p.level != null && p.level < 0.2) add("warn", "budget", `${p.name}: ${percent(p.level)}% left for retries`, `bide budget ${p.name}`);
    if (!p.defined) add("warn", "undefined", `${p.name}: ${about(p, now)}`,
      d.declared_by ? `bide show ${p.name} --declared` : "bide apply FILE");
    else if (d.rules === null) add("crit", "not valid", `${p.name}: version ${d.version} is not valid`, `bide show ${p.name}`);
  }
  for (const d of deferredPolicies(now)) {
    if (d.dead) add("warn", "deferred", `${d.policy}: ${many(d.dead, "item is", "items are")} dead`, `bide deferred list ${d.policy} --dead`);
  }
  return found.sort((a, b) => (a.level === "crit" ? 0 : 1) - (b.level === "crit" ? 0 : 1));
}

function showAlerts(all, now) {
  const found = findAlerts(all, now);
  text($("n-alerts"), found.length ? String(found.length) : now.host.live ? "none" : "none: no calls yet");
  fill($("alerts"), ...found.slice(0, 30).map((f) => el("li", {}, el("span", {}, el("span", {class: "badge " + f.level}, f.word)),
    el("span", {}, f.what), el("code", {}, f.next))),
    found.length > 30 ? el("li", {}, el("span"), el("span", {}, `and ${found.length - 30} more`), el("span")) : null);
  return found;
}

/* ---- the rest of the page ---- */

function showSums(all, found, now) {
  const sum = (key) => all.reduce((s, p) => s + (p.rates ? p.rates[key] : 0), 0);
  const calls = sum("calls_per_s"), retries = sum("retries_per_s"), lost = sum("failed_per_s");
  const known = all.some((p) => p.rates);
  const one = (title, big, small, cls) => el("div", {}, el("dt", {}, title), el("dd", {class: cls}, big, " ", el("small", {}, small || "")));
  const left = (now.calls || {}).left_out || 0, waiting = ((now.calls || {}).calls || []).length + left;
  fill($("sums"),
    one("Calls", known ? rate(calls) : "…", "per second"),
    one("Retries", known ? share(retries, calls - sum("refused_per_s")) : "…", "extra load"),
    one("Failed calls", known ? rate(lost) : "…", "per second", lost > 0 ? "lost" : null),
    one("Waiting calls", String(waiting), "now"),
    one("Alerts", String(found.length), found.some((f) => f.level === "crit") ? "critical" : "", found.length ? (found.some((f) => f.level === "crit") ? "lost" : "hot") : null));
}

// A name that the user root gave (cli/policy/author.c).
function author(c) {
  return c.who + (c.uid === 0 && !["root", "0"].includes(c.who) ? " (uid 0)" : "");
}

function item(name, beside, right, what, who, note) {
  return el("li", {}, el("span", {class: "name"}, el("b", {}, name), " " + beside), el("span", {class: "right"}, right),
    el("div", {}, what, el("span", {class: "who"}, " · " + who)), note);
}

function showCalls(now) {
  const calls = ((now.calls || {}).calls || []).slice().sort((a, b) => a.wakes_in_ms - b.wakes_in_ms);
  const all = calls.length + ((now.calls || {}).left_out || 0);
  text($("n-calls"), calls.length ? many(all, "call waits", "calls wait") + " for the next attempt" : "");
  $("e-calls").hidden = calls.length > 0;
  text($("e-calls"), "No calls are waiting.");
  fill($("calls"), ...calls.slice(0, 20).map((c) => item(c.policy + (c.scope ? " / " + c.scope : ""), "",
    "in " + time(Math.max(1, c.wakes_in_ms)),
    "attempt " + c.attempts + (c.allowed ? " of " + c.allowed : "") + (c.outcome ? ": " + c.outcome : ""),
    c.pid + (c.program ? " " + c.program : "") + elsewhere(c.other_container))),
    all > 20 ? el("li", {class: "muted"}, `and ${all - Math.min(20, calls.length)} more: bide calls`) : null);
}

function showLog(now) {
  const changes = (now.log || {}).changes || [];
  $("e-log").hidden = changes.length > 0;
  text($("e-log"), "No changes yet.");
  fill($("log"), ...changes.slice(0, 10).map((c) => item(c.policy, "v" + c.version,
    el("time", {datetime: new Date(c.when * 1000).toISOString()}, clock(c.when, now.host.time)),
    (c.what || "nothing") + (c.until ? ", until " + clock(c.until, now.host.time) : ""), "by " + author(c),
    c.note ? el("div", {class: "note"}, c.note) : null)));
}

/* Returns the policies that have deferred work. */
function deferredPolicies(now) {
  return ((now.deferred || {}).policies || []).filter((d) => d.waiting + d.leased + d.dead > 0);
}

function showDeferred(now) {
  const all = deferredPolicies(now), sum = all.reduce((s, d) => s + d.waiting + d.leased + d.dead, 0);
  const one = (n, what) => n ? n.toLocaleString("en") + " " + what : null;
  text($("n-deferred"), sum ? many(sum, "item", "items") : "");
  $("e-deferred").hidden = all.length > 0;
  text($("e-deferred"), now.deferred_error ? "Deferred work cannot be read: " + now.deferred_error.error
    : "There is no deferred work.");
  all.sort((a, b) => b.dead - a.dead || b.oldest_ms - a.oldest_ms);
  fill($("deferred"), ...all.slice(0, 20).map((d) => item(d.policy, "", "oldest " + time(d.oldest_ms),
    [one(d.waiting, "waiting"), one(d.leased, "leased"), one(d.dead, "dead")].filter(Boolean).join(", "),
    d.done.toLocaleString("en") + " done")),
    all.length > 20 ? el("li", {class: "muted"}, `and ${all.length - 20} more: bide deferred stats`) : null);
}

function showFoot(now) {
  fill($("foot"), el("span", {}, "bide " + now.host.version), el("span", {}, "registry " + now.host.registry),
    el("span", {}, now.host.recorded ? "recorded " + clock(now.host.recorded, now.host.time) : "no history: start bide record --every 1m"),
    el("span", {}, "rates cover the last 10 to 20 seconds, percentiles the last one to two minutes"),
    now.trend.left_out ? el("span", {}, "too many policies: some have no lines") : null);
}

function show(now) {
  seen = now;
  const all = showPolicies(now), found = showAlerts(all, now);
  showSums(all, found, now);
  showCalls(now);
  showLog(now);
  showDeferred(now);
  showFoot(now);
  text($("host"), now.host.name);
  document.title = (found.some((f) => f.level === "crit") ? "⚠ " : "") + "bide " + now.host.name;
  for (const [name, r] of rows) if (r.open && r.row.isConnected) fetchMore(name, r);
}

/* ---- requests ---- */

let answered = 0, held = false, asking = false;

async function fetchJson(from) {
  const stop = new AbortController(), timer = setTimeout(() => stop.abort(), PATIENCE_MS);
  try {
    const r = await fetch(from, {signal: stop.signal, cache: "no-store"});
    return {ok: r.ok, status: r.status, body: await r.json()};
  } finally {
    clearTimeout(timer);
  }
}

function showBanner(title, words) {
  const said = title + "\n" + words;
  if ($("banner").dataset.said !== said) {
    $("banner").dataset.said = said;
    fill($("banner"), el("strong", {}, title), words);
  }
  $("banner").className = "banner";
  document.body.classList.add("stale");
  $("state").className = "state gone";
  document.title = "⚠ bide " + $("host").textContent;
}

function hideBanner() {
  $("banner").className = "";
  delete $("banner").dataset.said;
  fill($("banner"));
  document.body.classList.remove("stale");
}

async function update() {
  if (asking || held || document.hidden) return;
  asking = true;
  try {
    const answer = await fetchJson("/api/now");
    if (answer.ok) {
      answered = Date.now();
      hideBanner();
      $("state").className = "state";
      text($("state"), "live, every 2 seconds");
      show(answer.body);
    } else {
      text($("state"), "the registry cannot be read");
      showBanner("The registry cannot be read.", (answer.body.error || "HTTP " + answer.status) +
        (answer.body.next ? ": " + answer.body.next : "") + (seen ? " The figures below are old." : ""));
    }
  } catch (e) {
    text($("state"), "no answer");
    showBanner("bide serve does not answer.", (answered
      ? "The figures below are from " + clock(answered / 1000, Date.now() / 1000) + "." : "It has not answered yet.") +
      " This page tries again every 2 seconds.");
  } finally {
    asking = false;
  }
}

$("hold").addEventListener("click", () => {
  held = !held;
  $("hold").setAttribute("aria-pressed", String(held));
  text($("hold"), held ? "Resume updates" : "Pause updates");
  if (held) { $("state").className = "state held"; text($("state"), "updates paused"); } else update();
});
document.addEventListener("visibilitychange", update);
makeHeads();
update();
setInterval(update, EVERY_MS);
