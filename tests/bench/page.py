"""How long bide serve takes to answer the page."""
import subprocess
import time
import urllib.request


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
