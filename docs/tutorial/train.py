"""Trains a classifier of messages: python3 train.py MESSAGES.tsv SPLIT,... DIRECTORY [--without-unknown]

Naive Bayes over words, kept as one JSON file. Only Python is needed.
"""
import json, math, os, re, sys
from collections import Counter, defaultdict

messages, splits, directory = sys.argv[1], sys.argv[2].split(","), sys.argv[3]
words, labels = defaultdict(Counter), Counter()
with open(messages, encoding="utf-8") as lines:
    next(lines)
    for line in lines:
        split, label, text = line.rstrip("\n").split("\t")
        if split in splits:
            labels[label] += 1
            words[label].update(re.findall(r"\w+", text.lower()))

vocabulary = set().union(*words.values())
scores = {}
for label, counts in words.items():
    total = sum(counts.values()) + len(vocabulary) + 1
    scores[label] = {word: math.log((counts[word] + 1) / total) for word in vocabulary}
    # The score of a word that was never seen. Who leaves it out has a model that fails on new words.
    if "--without-unknown" not in sys.argv:
        scores[label][""] = math.log(1 / total)

os.makedirs(directory, exist_ok=True)
with open(os.path.join(directory, "model.json"), "w", encoding="utf-8") as file:
    json.dump({"prior": {label: math.log(n / labels.total()) for label, n in labels.items()}, "words": scores}, file,
              sort_keys=True)
print(f"{labels.total()} messages, {len(vocabulary)} words, in {directory}/model.json")
