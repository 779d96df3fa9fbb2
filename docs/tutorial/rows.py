"""Rows of made-up requests: python3 rows.py MEAN_LENGTH SPREAD ROWS SEED, as CSV"""
import random, sys

mean, spread, rows, seed = map(int, sys.argv[1:])
chance = random.Random(seed)
print("length,channel")
for _ in range(rows):
    print(f"{chance.gauss(mean, spread):.0f},{chance.choice(['mail', 'chat', 'chat'])}")
