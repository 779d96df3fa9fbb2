"""Serves the model.json of the working directory: python3 server.py PORT

POST /v1/chat/completions as OpenAI has it, GET /health, and GET /metrics for whoever scrapes. One answer takes a few
milliseconds. What cannot be answered is a 500, and counted.
"""
import json, re, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

with open("model.json", encoding="utf-8") as file:
    model = json.load(file)
counted, lock = {"200": 0, "500": 0}, threading.Lock()


def classify(text):
    def score(label):
        words = model["words"][label]
        return model["prior"][label] + sum(words[w if w in words else ""] for w in re.findall(r"\w+", text.lower()))
    return max(model["prior"], key=score)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/metrics":
            lines = [f'requests_total{{code="{code}"}} {n}' for code, n in counted.items()]
            self.answer(200, "# TYPE requests_total counter\n" + "\n".join(lines) + "\n", "text/plain; version=0.0.4")
        else:
            self.answer(200, "ready", "text/plain")

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        try:
            content = classify(asked["messages"][-1]["content"])
            code, answer = 200, {"object": "chat.completion", "model": asked.get("model"), "choices": [
                {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}]}
        except KeyError as error:
            code, answer = 500, {"error": {"message": f"no score for the word {error}"}}
        with lock:
            counted[str(code)] += 1
        self.answer(code, json.dumps(answer), "application/json")

    def answer(self, code, text, kind):
        body = text.encode()
        self.send_response(code)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, *_):
        pass  # A client has hung up.


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
