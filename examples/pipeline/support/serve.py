"""A model server: answers what its files say, over the form of the OpenAI API.

serve.py DIRECTORY PORT
"""

import json
import random
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Model:
    def __init__(self, directory):
        said = json.loads((Path(directory) / "answers.json").read_text())
        self.answers, self.fails = said["answers"], said["fails"]

    def answer(self, question):
        return self.answers.get(question, "I do not know; ask a person at the counter.")


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, model, port):
        self.model, self.counts, self.lock = model, {200: 0, 500: 0}, threading.Lock()
        super().__init__(("127.0.0.1", port), Handler)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def reply(self, status, body, kind="application/json"):
        body = body.encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/metrics":
            lines = [f'requests_total{{code="{code}"}} {count}' for code, count in self.server.counts.items()]
            self.reply(200, "\n".join(["# TYPE requests_total counter", *lines, ""]), "text/plain; version=0.0.4")
        else:
            self.reply(200, "{}")

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        status = 500 if random.random() < self.server.model.fails else 200
        with self.server.lock:
            self.server.counts[status] += 1
        if status == 500:
            return self.reply(500, '{"error": {"message": "out of memory"}}')
        answer = self.server.model.answer(asked["messages"][-1]["content"])
        message = {"role": "assistant", "content": answer}
        usage = {"prompt_tokens": 8, "completion_tokens": len(answer.split()), "total_tokens": 8 + len(answer.split())}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self.reply(200, json.dumps({"id": "x", "object": "chat.completion", "created": int(time.time()),
                                    "model": asked.get("model", ""), "choices": [choice], "usage": usage}))

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    Server(Model(sys.argv[1]), int(sys.argv[2])).serve_forever()
