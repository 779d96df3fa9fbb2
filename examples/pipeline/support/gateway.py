"""Stands for the HAProxy of a team, so that the example needs none: splits requests between two servers by weights that are
set over a port, in the words of HAProxy's runtime API; and for its users, who ask all the while.

gateway.py PORT STABLE-PORT CANDIDATE-PORT RUNTIME-PORT
"""

import http.client
import json
import random
import socketserver
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, STABLE, CANDIDATE, RUNTIME = map(int, sys.argv[1:5])
servers = {"stable": [STABLE, 100, 0], "candidate": [CANDIDATE, 0, 0]}  # port, weight, administrative state
variables = {}
lock = threading.Lock()
STATE = "be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change"


def command(line):
    match line.split():
        case ["show", "servers", "state", backend]:
            rows = [f"3 {backend} {n} {name} 127.0.0.1 2 {state} {weight} {weight} 8"
                    for n, (name, (_, weight, state)) in enumerate(servers.items())]
            return "\n".join(["1", f"# {STATE}", *rows, "", ""])
        case ["set", "server", server, "weight", weight]:
            servers[server.split("/")[1]][1] = int(weight)
        case ["set", "server", server, "state", state]:
            servers[server.split("/")[1]][2] = 8 if state == "drain" else 0
        case ["set", "var", variable, value]:
            variables[variable] = value.removeprefix("str(").removesuffix(")")
        case ["get", "var", variable]:
            if variable not in variables:
                return "Variable not found.\n\n"
            return f"{variable}: type=str value=<{variables[variable]}>\n"
        case ["experimental-mode", "on"]:
            pass
        case _:
            return "Unknown command\n\n"
    return "\n"


class Runtime(socketserver.StreamRequestHandler):
    def handle(self):
        line = self.rfile.readline().decode().strip()
        with lock:
            answer = "".join(command(part.strip()) for part in line.split(";"))
        self.wfile.write(answer.encode())


class Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        open_ = [(port, 0 if state else weight) for port, weight, state in servers.values()]
        port = random.choices([p for p, _ in open_], [w for _, w in open_])[0]
        try:
            there = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            there.request("POST", self.path, body, {"content-type": "application/json"})
            answer = there.getresponse()
            status, body = answer.status, answer.read()
        except OSError as error:
            status, body = 502, str(error).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def users():
    asked = json.dumps({"model": "support", "messages": [{"role": "user", "content": "Where is my parcel?"}]})
    while True:
        time.sleep(random.expovariate(60))
        try:
            front = http.client.HTTPConnection("127.0.0.1", PORT, timeout=5)
            front.request("POST", "/v1/chat/completions", asked)
            front.getresponse().read()
            front.close()
        except OSError:
            pass


class Commands(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True


threading.Thread(target=Commands(("127.0.0.1", RUNTIME), Runtime).serve_forever, daemon=True).start()
threading.Thread(target=users, daemon=True).start()
ThreadingHTTPServer(("127.0.0.1", PORT), Front).serve_forever()
