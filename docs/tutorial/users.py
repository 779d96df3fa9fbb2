"""Users: python3 users.py MESSAGES.tsv URL [PER_SECOND]

Sends the messages of the split `live`, over and over, until it is stopped.
"""
import json, sys, threading, time, urllib.error, urllib.request

messages, url = sys.argv[1], sys.argv[2]
pause = 4 / float(sys.argv[3] if len(sys.argv) > 3 else 40)
with open(messages, encoding="utf-8") as lines:
    live = [line.rstrip("\n").split("\t")[2] for line in lines if line.startswith("live\t")]


def ask(nth):
    while True:
        body = json.dumps({"model": "intent", "messages": [{"role": "user", "content": live[nth % len(live)]}]})
        request = urllib.request.Request(url + "/chat/completions", body.encode(), {"content-type": "application/json"})
        try:
            urllib.request.urlopen(request, timeout=10).read()
        except (urllib.error.URLError, OSError):
            pass  # They ask again, as users do.
        nth += 4
        time.sleep(pause)


for first in range(4):
    threading.Thread(target=ask, args=(first,), daemon=True).start()
threading.Event().wait()
