/* Requests, the state of the page, and the start. */

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
      text($("state"), "live");
      $("state").title = "new figures every 2 seconds";
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
$("more-alerts").addEventListener("click", () => { allAlerts = !allAlerts; if (seen) show(seen); });
makeHeads();
update();
follow();
setInterval(update, EVERY_MS);
setInterval(() => {
  if (view && !route.until && !held && !document.hidden && !asking1) updateOne();
}, 5000);
