"""SciPy's rank test: reads a number and two samples of so many values, answers with seconds and the chance."""

import sys
import time

import numpy
from scipy.stats import mannwhitneyu

source = sys.stdin.buffer
mannwhitneyu([1.0, 2.0, 2.0], [2.0, 3.0])
while head := source.read(8):
    count = int.from_bytes(head, "little")
    first, second = (numpy.frombuffer(source.read(8 * count), "<f8").copy() for _ in range(2))
    start = time.perf_counter()
    test = mannwhitneyu(first, second)
    took = time.perf_counter() - start
    print(took, float(test.pvalue), flush=True)
