#!/usr/bin/env python3
"""An HTTP server for tests: server.py PORT-FILE.  Keeps connections open.
  /ok             200
  /status/N       N
  /after/N/S      N with Retry-After: S
  /flaky/N/...    503 for the first N requests of each path, then 200
  /half           503 for every other request, and no answer for the rest
  /hang           no answer
  /late           200 after 300 ms
  /seen           the number of requests so far"""
import asyncio
import os
import sys
import urllib.parse

seen, all_seen = {}, 0


def answer(path):
    """Returns the status, more headers and the body for a request."""
    words = path.split("/")
    seen[path] = seen.get(path, 0) + 1
    if words[1] == "status":
        return int(words[2]), "", "status\n"
    if words[1] == "after":
        return int(words[2]), f"Retry-After: {words[3]}\r\n", "after\n"
    if words[1] == "flaky" and seen[path] <= int(words[2]):
        return 503, "", "not now\n"
    if path == "/half":
        return 503 if seen[path] % 2 else None, "", "not now\n"
    if path == "/hang":
        return None, "", ""
    return 200, "", f"{all_seen}\n" if words[1] == "seen" else "done\n"


async def serve(reader, writer):
    global all_seen
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            path = urllib.parse.unquote(head.split(b" ")[1].decode())
            status, headers, body = answer(path)
            all_seen += path != "/seen"
            if path == "/late":
                await asyncio.sleep(0.3)
            if status is None:
                await reader.read()
                break
            writer.write(f"HTTP/1.1 {status} X\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    part = sys.argv[1] + ".part"
    with open(part, "w", encoding="utf-8") as file:
        file.write(str(server.sockets[0].getsockname()[1]))
    os.rename(part, sys.argv[1])
    await server.serve_forever()


asyncio.run(main())
