/* All policies: the table, alerts, calls, deferred work, changes. */

/* ---- the table of policies ---- */

const COLUMNS = [
  {key: "name", title: "Policy", by: (p) => p.name, first: "ascending"},
  {key: "worst", title: "Worst first", by: (p) => p.worst, hidden: true},
  {key: "calls", title: "Calls/s", by: (p) => p.rates ? p.rates.calls_per_s : -1, number: true},
  {key: "ok", title: "OK", by: (p) => p.rates && p.rates.ok != null ? p.rates.ok : 2, first: "ascending", number: true},
  {key: "lost", title: "Failed/s", by: (p) => p.rates ? p.rates.failed_per_s : -1, number: true},
  {key: "retries", title: "Retries", by: (p) => p.rates && p.rates.retries != null ? p.rates.retries : -1, number: true},
  {key: "p95", title: "p95", by: (p) => p.rates && p.rates.p95_ms != null ? p.rates.p95_ms : -1, number: true},
  {key: "breaker", title: "Breaker", by: (p) => p.breaker.rank},
  {key: "budget", title: "Budget", by: (p) => p.budgetLevel == null ? 2 : p.budgetLevel, first: "ascending"},
  {key: "sleeping", title: "Waiting", by: (p) => p.sleeping, number: true},
];
let sorted = {key: "worst", order: "descending"};
const rows = new Map(); /* by name */
let seen = null;        /* the last answer of /api/now */
let places = new Map(); /* of the rows, while the pointer or the focus is among them */

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
  places.clear();
  if (seen) showPolicies(seen);
}

function makeHeads() {
  for (const c of COLUMNS) {
    if (!c.hidden) {
      const button = el("button", {type: "button"}, c.title);
      button.addEventListener("click", () => sortBy(c.key));
      $("heads").append(el("th", {role: "columnheader", scope: "col", "data-key": c.key, class: "c-" + c.key + (c.number ? " number" : "")}, button));
    }
    $("sort").append(el("option", {value: c.key}, c.title));
  }
  $("sort").addEventListener("change", () => sortBy($("sort").value,
    COLUMNS.find((c) => c.key === $("sort").value).first || "descending"));
  $("filter").addEventListener("input", () => { places.clear(); if (seen) showPolicies(seen); });
  sortBy("worst", "descending");
}

/* A line of zeros is left out of the answer. */
function lines(t, now) {
  const zeros = new Array(now.trend.known).fill(0);
  return {calls: zeros, retries: zeros, failed: zeros, refused: zeros, p95_ms: zeros, ...t};
}

/* Returns the policies, each with its figures from all parts of the answer. */
function joinParts(now) {
  const levels = new Map(((now.check || {}).policies || []).map((c) => [c.policy, c]));
  return now.list.policies.map((p) => {
    const b = breaker(p.breaker), n = p.now.over_s > 0 ? p.now : null, told = levels.get(p.policy);
    const alarm = p.level && p.level !== "ok" && !(told && told.level === "critical") ? {level: p.level, why: p.warnings, since: p.since || told && told.since} : told;
    const level = alarm && alarm.level === "critical" || b.level === "crit" ? 2
      : alarm && alarm.level === "warning" || b.level === "warn" || p.paused ? 1 : 0;
    const failed = n ? n.failed_per_s : 0, worst = (p.scopes || []).slice().sort((x, y) => y.now.failed_per_s - x.now.failed_per_s)[0];
    return {
      name: p.policy, data: p, alarm, rates: n, level, breaker: b,
      defined: p.version != null, sleeping: p.sleeping || 0,
      trend: now.trend.policies[p.policy] || null,
      worst: failed + level * 1e9 + (failed > 0 ? 1e8 : 0),
      where: failed > 0 && worst && worst.now.failed_per_s > 0 ? worst : null,
      why: failed > 0 ? Object.entries(p.now.outcomes).sort((x, y) => y[1] - x[1]).slice(0, 2).map((o) => o[0]).join(", ") : "",
      budgetLevel: p.budget && p.budget.group !== "none" ? p.budget.level : null,
    };
  });
}

function makeRow(name) {
  const r = {};
  r.link = el("a", {class: "open", href: address(name)}, name);
  r.about = el("span", {class: "about"}); r.where = el("span", {class: "lost where"});
  r.calls = el("b"); r.spark = picture("spark", 26);
  r.ok = el("span"); r.retries = el("span"); r.lost = el("b"); r.refused = el("small", {class: "muted"});
  r.p95 = el("span");
  r.breaker = el("span", {class: "badge"});
  r.budget = el("span", {class: "budget"}); r.sleeping = el("span");
  const cell = (key, cls, ...inside) =>
    el("td", {role: "cell", "data-label": COLUMNS.find((c) => c.key === key).title, class: "c-" + key + " " + cls}, ...inside);
  r.row = el("tr", {class: "row", role: "row"},
    el("td", {role: "cell", class: "full"}, r.link, r.where, r.about),
    cell("calls", "number full", el("span", {class: "pair"}, r.spark, r.calls)),
    cell("ok", "number", r.ok),
    cell("lost", "number", r.lost, r.refused),
    cell("retries", "number", r.retries),
    cell("p95", "number", r.p95),
    cell("breaker", "", r.breaker),
    cell("budget", "", r.budget),
    cell("sleeping", "number", r.sleeping));
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
  return (d.paused ? "PAUSED · " : "") + "v" + d.version + " · " + d.importance + " · " + d.rules +
    (d.layers || []).map((l) => " · " + Object.entries(l.keys).map(([k, v]) => k + " is " + (v ?? "not set")).join(", ") +
      " until " + clock(l.until, now.host.time) + " (version " + l.version + (l.inherited_from ? " of " + l.inherited_from : "") + ", " + author(l) + ")").join("");
}

const LEVELS = ["", "warn", "crit"];

function updateRow(r, p, now) {
  const points = drawn(now), t = p.trend && lines(p.trend, now), n = p.rates, ok = n ? n.ok : null;
  r.row.className = "row " + LEVELS[p.defined ? p.level : Math.max(1, p.level)];
  text(r.about, about(p, now));
  r.about.title = r.about.textContent;
  text(r.where, p.rates && p.rates.failed_per_s > 0 ? (p.where ? (p.where.scope || "no scope") + ": " + share(1 - p.where.now.ok, 1) + " not ok" : "") + (p.why ? (p.where ? ", " : "") + p.why : "") : "");
  text(r.calls, n ? rate(n.calls_per_s) : "–");
  if (t) {
    draw(r.spark, [{values: t.calls, name: "", area: true}, {values: t.failed, name: "lost", area: true}], points, 26,
      "calls and failed calls per second, " + minutes(now) + " minutes");
  }
  text(r.ok, ok == null ? "–" : percentOf(ok));
  r.ok.className = ok != null && ok < 0.99 ? (ok < 0.9 ? "lost" : "hot") : "";
  text(r.lost, n ? rate(n.failed_per_s) : "–");
  r.lost.className = n && n.failed_per_s > 0 ? "lost" : "none";
  text(r.refused, n && n.refused_per_s > 0 ? rate(n.refused_per_s) + " refused" : "");
  text(r.retries, n && n.retries != null ? share(n.retries, 1) : "–");
  r.retries.className = n && n.retries > 0.2 ? "hot" : "";
  text(r.p95, n && n.p95_ms != null ? time(n.p95_ms) : "–");
  for (const [e, nil] of [[r.breaker, !p.breaker.rank], [r.budget, p.budgetLevel == null], [r.sleeping, !p.sleeping]]) e.parentElement.classList.toggle("nil", nil);
  text(r.breaker, p.breaker.word);
  r.breaker.className = "badge " + p.breaker.level;
  fill(r.budget, ...budget(p.data.budget));
  text(r.sleeping, p.sleeping ? p.sleeping.toLocaleString("en") : "–");
}

/* Returns the policies in their order.  While the pointer or the focus is in the table, rows keep their places. */
function inOrder(found) {
  const by = COLUMNS.find((c) => c.key === sorted.key).by, sign = sorted.order === "ascending" ? 1 : -1;
  const held = $("rows").matches(":hover, :focus-within");
  const place = (p) => held && places.has(p.name) ? places.get(p.name) : Infinity;
  found.sort((a, b) => {
    const m = place(a), n = place(b), x = by(a), y = by(b);
    if (m !== n) return m < n ? -1 : 1;
    return (x < y ? -sign : x > y ? sign : 0) || (a.name < b.name ? -1 : 1);
  });
  places = new Map(found.map((p, i) => [p.name, i]));
  return found;
}

function showPolicies(now) {
  const all = joinParts(now), wanted = $("filter").value.trim().toLowerCase();
  const found = inOrder(all.filter((p) => p.name.toLowerCase().includes(wanted)));
  const body = $("rows"), focused = document.activeElement, most = body.children.length ? ROWS_MOST : ROWS_FIRST;
  if (most < ROWS_MOST && found.length > most) setTimeout(() => { if (seen === now) showPolicies(now); });
  const order = found.slice(0, most).map((p) => {
    const r = rows.get(p.name) || makeRow(p.name);
    updateRow(r, p, now);
    return r.row;
  });
  order.forEach((row, i) => { if (body.children[i] !== row) body.insertBefore(row, body.children[i] || null); });
  while (body.children.length > order.length) body.lastChild.remove();
  if (focused && focused !== document.activeElement && focused.isConnected) focused.focus();
  for (const [name, r] of rows) if (!r.row.isConnected) rows.delete(name);
  text($("n-list"), (wanted ? found.length + " of " : "") + many(all.length, "policy", "policies") +
    (found.length > ROWS_MOST ? `, the first ${ROWS_MOST} shown: filter for others` : "") +
    (now.trend.known ? "" : " · lines appear after 10 seconds"));
  text($("e-list"), all.length === 0 ? "There are no policies yet. Add some with bide apply FILE"
    : found.length === 0 ? "No policy name contains this text." : "");
  $("list").hidden = found.length === 0;
  $("e-list").hidden = found.length > 0;
  return all;
}

/* ---- alerts ---- */

function findAlerts(all, now) {
  const found = [];
  let name = null;
  const add = (level, word, what, next) => found.push({level, word, what, next, name});
  const h = now.host;
  if (h.trouble && h.time - h.trouble_at < 600) {
    add("crit", "registry", `a service could not read the registry, ${clock(h.trouble_at, h.time)}: ${h.trouble}`, "bide list");
  }
  if (h.not_counted) add("crit", "not counted", h.not_counted, "bide doctor");
  if (h.not_recorded) add("warn", "not recorded", h.not_recorded, "bide record --every 1m");
  for (const [part, word] of [["check", "warnings"], ["log", "changes"], ["calls", "calls"]]) {
    const e = now[part + "_error"];
    if (e) add("warn", word, e.error, e.next || "");
  }
  for (const p of all) {
    const d = p.data, a = p.alarm;
    name = p.name;
    if (a && a.level !== "ok") {
      add(a.level === "critical" ? "crit" : "warn", a.level, a.why +
        (a.since ? ", since " + clock(a.since, h.time) : ""),
        a.level === "unknown" ? "bide record --every 1m" : a.why.startsWith("breaker") ? `bide breaker ${p.name}` : `bide stats ${p.name} --since -1h`);
    }
    if (p.breaker.rank > 1 && !(a && a.why.startsWith("breaker"))) add(p.breaker.level, "breaker", p.breaker.word, `bide breaker ${p.name}`);
    if (d.paused) add("warn", "paused", "new calls are refused", `bide resume ${p.name}`);
    if (d.budget && d.budget.damaged) add("crit", "budget", "its live state is damaged; calls continue", `bide budget ${p.name} reset`);
    else if (p.budgetLevel != null && p.budgetLevel < 0.2) add("warn", "budget", `${percent(p.budgetLevel)}% left for retries`, `bide budget ${p.name}`);
    if (!p.defined) add("warn", "undefined", about(p, now),
      d.declared_by ? `bide show ${p.name} --declared` : "bide apply FILE");
    else if (d.rules === null) add("crit", "not valid", `version ${d.version} is not valid`, `bide show ${p.name}`);
  }
  for (const d of deferredPolicies(now)) {
    name = d.policy;
    if (d.dead) add("warn", "deferred", `${many(d.dead, "item is", "items are")} dead`, `bide deferred list ${d.policy} --dead`);
  }
  return found.sort((a, b) => (a.level === "crit" ? 0 : 1) - (b.level === "crit" ? 0 : 1));
}

let allAlerts = false;

const alertItem = (f, link) => el("li", {}, el("span", {}, el("span", {class: "badge " + f.level}, f.word)),
  el("span", {}, f.name && link ? el("a", {href: address(f.name), class: "name"}, f.name) : null, f.name && link ? " " : null, f.what),
  el("code", {}, f.next));

function showAlerts(all, now) {
  const found = findAlerts(all, now), most = allAlerts ? 200 : found.length > 5 ? 4 : 5;
  text($("n-alerts"), found.length ? String(found.length) : now.host.live ? "none" : "none: no calls yet");
  fill($("alerts"), ...found.slice(0, most).map((f) => alertItem(f, true)));
  $("alerts").hidden = found.length === 0;
  $("more-alerts").hidden = found.length <= 5;
  text($("more-alerts"), allAlerts ? "Show fewer" : `Show all ${found.length}`);
  return found;
}

/* ---- the rest of the page ---- */

function showSums(all, found, now) {
  const sum = (key) => all.reduce((s, p) => s + (p.rates ? p.rates[key] : 0), 0);
  const calls = sum("calls_per_s"), retries = all.reduce((s, p) => s + (p.rates && p.rates.retries ? p.rates.retries * (p.rates.calls_per_s - p.rates.refused_per_s) : 0), 0), lost = sum("failed_per_s");
  const known = all.some((p) => p.rates), crit = found.some((f) => f.level === "crit");
  const one = (title, big, cls) => el("div", {}, el("dt", {}, title), el("dd", {class: cls}, big));
  const left = (now.calls || {}).left_out || 0, waiting = ((now.calls || {}).calls || []).length + left;
  fill($("sums"),
    one("calls/s", known ? rate(calls) : "…"),
    one("failed/s", known ? rate(lost) : "…", lost > 0 ? "lost" : null),
    one("retries", known ? share(retries, calls - sum("refused_per_s")) : "…"),
    one("waiting", String(waiting)),
    one("alerts", String(found.length), found.length ? (crit ? "lost" : "hot") : null));
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
    "attempt " + c.attempts + (c.allowed ? " of " + c.allowed : "") + (c.outcome ? ": " + c.outcome : "") +
      (c.waits_for && c.waits_for !== "retry" ? ", waits for " + c.waits_for : ""),
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
    el("span", {}, "figures are those of the last minute, lines those of the last ten"),
    now.trend.left_out ? el("span", {}, "too many policies: some have no lines") : null);
}

function show(now) {
  seen = now;
  const all = showPolicies(now), found = showAlerts(all, now);
  showSums(all, found, now);
  text($("host"), now.host.name);
  document.title = (found.some((f) => f.level === "crit") ? "⚠ " : "") + (route.name ? route.name + " · " : "") + "bide " + now.host.name;
  if (route.name) { showState(all.find((p) => p.name === route.name), found, now); return; }
  showCalls(now);
  showLog(now);
  showDeferred(now);
  showFoot(now);
}
