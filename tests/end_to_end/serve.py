"""serve.py DIRECTORY PORT VERSION: serves a version, as a team's own server would: llama.cpp's (PyPI xllamacpp) behind a front
that counts requests for Prometheus.

DIRECTORY holds weights.gguf, template.jinja where the version has a chat template, and server.json: `context`, so many tokens a
slot; `slots`, so many answers at once; `most`, so many requests that are let in at once, others get 503. While the file that
FAULT names says VERSION, every request fails."""
import http.client, json, os, pathlib, signal, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import xllamacpp

directory, port, version = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
settings = json.loads((directory / "server.json").read_text())
slots, most = settings.get("slots", 1), settings.get("most")
fault = pathlib.Path(os.environ["FAULT"])
BOUNDS = [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, float("inf")]
lock = threading.Lock()
counts, buckets, total, under_way = {200: 0, 500: 0, 503: 0}, [0] * len(BOUNDS), 0.0, 0


def llama():
    """One thread and no cache of prompts; with one slot that makes answers at temperature 0 the same."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(directory / "weights.gguf")
    parameters.model_alias = ["assistant"]
    parameters.hostnames = ["127.0.0.1"]
    # The server takes one that is free, and says which.
    parameters.port = 0
    parameters.n_ctx, parameters.n_parallel, parameters.n_gpu_layers = settings["context"] * slots, slots, 0
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.cpuparams.poll = parameters.cpuparams_batch.poll = 0
    parameters.use_jinja, parameters.cache_prompt, parameters.offline, parameters.ui = True, False, True, False
    template = directory / "template.jinja"
    if template.exists():
        parameters.chat_template = template.read_text()
    return xllamacpp.Server(parameters)


def fails():
    return fault.exists() and fault.read_text() == version


def page():
    with lock:
        lines = ["# TYPE http_requests_total counter"]
        lines += [f'http_requests_total{{version="{version}",code="{code}"}} {n}' for code, n in counts.items()]
        lines += ["# TYPE http_request_seconds histogram"]
        for bound, n in zip(BOUNDS, buckets):
            edge = "+Inf" if bound == float("inf") else bound
            lines.append(f'http_request_seconds_bucket{{version="{version}",le="{edge}"}} {n}')
        lines.append(f'http_request_seconds_sum{{version="{version}"}} {total}')
        lines.append(f'http_request_seconds_count{{version="{version}"}} {buckets[-1]}')
    return "\n".join(lines + [""]).encode()


class Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def reply(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.send_header("x-version", version)
        self.end_headers()
        self.wfile.write(body)

    def inner(self, method, body=None):
        there = http.client.HTTPConnection(*address, timeout=300)
        there.request(method, self.path, body, {"content-type": "application/json"})
        answer = there.getresponse()
        found = answer.status, answer.read(), answer.getheader("content-type") or "application/json"
        there.close()
        return found

    def do_GET(self):
        if self.path == "/metrics":
            return self.reply(200, page(), "text/plain; version=0.0.4")
        self.reply(*self.inner("GET"))

    def do_POST(self):
        global under_way, total
        body, begin = self.rfile.read(int(self.headers["content-length"])), time.perf_counter()
        with lock:
            under_way += 1
            full = most is not None and under_way > most
        if fails():
            status, answer, kind = 500, b'{"error": {"message": "out of memory"}}', "application/json"
        elif full:
            status, answer, kind = 503, b'{"error": {"message": "too many requests at once"}}', "application/json"
        else:
            status, answer, kind = self.inner("POST", body)
        took = time.perf_counter() - begin
        with lock:
            under_way -= 1
            counts[status] = counts.get(status, 0) + 1
            total += took
            for i, bound in enumerate(BOUNDS):
                buckets[i] += took <= bound
        self.reply(status, answer, kind)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 256


signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
llm = llama()
listening = llm.listening_address.removeprefix("http://").rpartition(":")
address = listening[0], int(listening[2])
Server(("127.0.0.1", port), Front).serve_forever()
