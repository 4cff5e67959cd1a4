#!/usr/bin/env python3
"""A TCP proxy in front of etcd, for what networks do to a watch.

argv: the port to listen on, etcd's port, and one of
  cut SECONDS       closes a connection on which nothing came for so long
  before COMMAND    runs a shell command once, before the first watch is forwarded
  log               prints the beginning of each request"""
import select
import socket
import subprocess
import sys
import threading
import time

port, target, mode = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
argument = sys.argv[4] if len(sys.argv) > 4 else ""
ran = threading.Lock()


def at_request(data):
    if mode == "log":
        print(data.decode("latin-1"), flush=True)
    if mode == "before" and b"/v3/watch" in data and ran.acquire(blocking=False):
        subprocess.run(argument, shell=True, check=True)


def serve(client):
    server = socket.create_connection(("127.0.0.1", target))
    other, last = {client: server, server: client}, time.monotonic()
    while True:
        ready = select.select([client, server], [], [], 0.05)[0]
        if mode == "cut" and time.monotonic() - last > float(argument):
            print("cut", flush=True)
            break
        for side in ready:
            data = side.recv(1 << 16)
            last = time.monotonic()
            if not data:
                client.close()
                server.close()
                return
            if side is client:
                at_request(data)
            other[side].sendall(data)
    client.close()
    server.close()


def guarded(client):
    try:
        serve(client)
    except OSError:
        client.close()


listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", port))
listener.listen(64)
while True:
    threading.Thread(target=guarded, args=(listener.accept()[0],), daemon=True).start()
