"""Windows of a made-up rollout: python3 windows.py RATE ODDS_RATIO WEIGHT REQUESTS WINDOWS SEED

Lines as `tidegate judge` takes them: in service RATE of requests fail, at the candidate the odds of that are ODDS_RATIO
times as high; the candidate gets WEIGHT of REQUESTS a minute.
"""
import json, random, sys

rate, ratio, weight = map(float, sys.argv[1:4])
requests, windows, seed = map(int, sys.argv[4:7])
odds = ratio * rate / (1 - rate)
chance = random.Random(seed)


def side(n, rate):
    return {"n": n, "x": sum(chance.random() < rate for _ in range(n))}


for window in range(1, windows + 1):
    n = round(weight * requests)
    print(json.dumps({"end": 1_800_000_000 + 60 * window, "metric": "errors",
                      "baseline": side(requests - n, rate), "candidate": side(n, odds / (1 + odds))}))
