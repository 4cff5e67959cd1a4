"""How long bide serve takes to answer the page, and Chromium to draw it."""
import os
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../system/serve"))
import browser  # noqa: E402

# Keeps the time at which a frame with the first policies was drawn.
WATCH = """
window.drawn = null;
new MutationObserver((_, me) => {
  if (document.querySelector("#rows tr")) {
    me.disconnect();
    requestAnimationFrame(() => {
      const after = new MessageChannel();
      after.port1.onmessage = () => { window.drawn = performance.now(); };
      after.port2.postMessage(0);
    });
  }
}).observe(document, {subtree: true, childList: true});
"""
TIMES = """(() => {
  const of = (type, name) => performance.getEntriesByType(type).find((e) => e.name.endsWith(name));
  return {page_paint: of("paint", "first-contentful-paint").startTime -
                      performance.getEntriesByType("navigation")[0].responseEnd,
          page_rows: window.drawn - of("resource", "/api/now").responseEnd};
})()"""


def answer_ns(bide, folder, rounds):
    """Returns the median time of /api/now, each time made anew."""
    with subprocess.Popen([bide, "--dir", folder, "serve", "--listen", "127.0.0.1:0"],
                          stdout=subprocess.PIPE, text=True) as server:
        url, took = server.stdout.readline().strip() + "api/now", []
        for _ in range(rounds):
            time.sleep(1.2)  # an answer is sent again for a second
            begin = time.perf_counter_ns()
            with urllib.request.urlopen(url) as answer:
                answer.read()
            took.append(time.perf_counter_ns() - begin)
        server.terminate()
    return sorted(took)[len(took) // 2]


def paints(bide, folder, rounds):
    """Opens the page again and again; yields "page_paint" and "page_rows" in ns."""
    with subprocess.Popen([bide, "--dir", folder, "serve", "--listen", "127.0.0.1:0"],
                          stdout=subprocess.PIPE, text=True) as server:
        url, chromium = server.stdout.readline().strip(), browser.Browser()
        try:
            chromium.size(1280, 800)
            chromium.ask("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
            for _ in range(rounds):
                chromium.go(url)
                chromium.until("window.drawn !== null")
                chromium.until("performance.getEntriesByType('paint').length > 1")
                for name, ms in chromium.js(TIMES).items():
                    yield name, ms * 1e6
                chromium.go("about:blank")
        finally:
            chromium.close()
            server.terminate()
