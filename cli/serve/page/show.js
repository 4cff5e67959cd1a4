"use strict";
/* Elements, numbers with their units, and lines.
 * Names, notes and outcomes come from users and programs: every text is set as
 * textContent and never parsed as HTML. */

const EVERY_MS = 2000, PATIENCE_MS = 5000, ROWS_MOST = 200, ROWS_FIRST = 40;
const SVG = "http://www.w3.org/2000/svg";
const $ = (id) => document.getElementById(id);

/* ---- making elements ---- */

function el(tag, attributes, ...inside) {
  const e = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === true) e.setAttribute(key, "");
    else if (value !== false && value != null) e.setAttribute(key, value);
  }
  fill(e, ...inside);
  return e;
}
/* Makes control characters, also those that turn the direction of writing, visible. */
const plain = (s) => typeof s === "string" ? s.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\ufffd") : s;
const text = (e, value) => { if (e.textContent !== plain(value)) e.textContent = plain(value); };
const fill = (e, ...inside) => e.replaceChildren(...inside.filter((x) => x != null).map(plain));

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
const percentOf = (x) => x >= 1 ? "100%" : (Math.floor(x * 1000) / 10).toFixed(1) + "%";
function time(ms) {
  if (ms < 0.995) return Math.max(1, Math.round(ms * 1000)) + "µs";
  if (ms < 9.95) return ms.toFixed(1) + "ms";
  if (ms < 999.5) return Math.round(ms) + "ms";
  if (ms < 9950) return (ms / 1000).toFixed(1) + "s";
  if (ms < 119500) return Math.round(ms / 1000) + "s";
  if (ms < 7170000) return Math.round(ms / 60000) + "m";
  return Math.round(ms / 3600000) + "h";
}
const two = (x) => String(x).padStart(2, "0");
const minuteOf = (d) => two(d.getHours()) + ":" + two(d.getMinutes());
const secondOf = (d) => minuteOf(d) + ":" + two(d.getSeconds());
const dayOf = (d) => d.getFullYear() + "-" + two(d.getMonth() + 1) + "-" + two(d.getDate());
function clock(seconds, now) {
  const d = new Date(seconds * 1000), n = new Date(now * 1000), at = secondOf(d);
  n.setHours(0, 0, 0, 0);
  const days = Math.round((n - new Date(d.getFullYear(), d.getMonth(), d.getDate())) / 864e5);
  return days === 0 ? "today " + at : days === 1 ? "yesterday " + at : dayOf(d) + " " + at;
}
const many = (n, one, more) => n.toLocaleString("en") + " " + (n === 1 ? one : more);

/* ---- breakers and budgets in words ---- */

function breaker(b) {
  if (!b || b.mode === "off") return {word: "–", level: "none", rank: 0};
  if (b.damaged) return {word: "damaged", level: "crit", rank: 4};
  if (b.mode === "open") return {word: "forced open", level: "crit", rank: 4};
  if (b.mode === "closed") return {word: "forced closed", level: "warn", rank: 1.5};
  if (b.state === "open") return {word: "OPEN " + time(1000 * Math.ceil(b.open_for_ms / 1000) || 1000), level: "crit", rank: 3};
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
    if (!l.values.length || (l.name === "lost" && !l.values.some((x) => x > 0))) continue;
    const d = path(l.values, points, height, top);
    if (l.area && d) {
      const x = (points - l.values.length) * 100 / (points - 1);
      parts.push(svg("path", {class: "area " + l.name, d: d + `L100 ${height}L${x.toFixed(2)} ${height}Z`}));
    }
    parts.push(svg("path", {class: "line " + l.name, d}));
  }
  box.setAttribute("aria-label", label);
  box.replaceChildren(...parts);
}
const picture = (cls, height) =>
  svg("svg", {class: cls, viewBox: `0 0 100 ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": "no calls yet"});
