"""numpy's way of resampling a mean: reads a number and so many values, answers with seconds and bounds."""

import sys
import time

import numpy

RESAMPLES = 10_000
source = sys.stdin.buffer
while head := source.read(8):
    count = int.from_bytes(head, "little")
    values = numpy.frombuffer(source.read(8 * count), "<f8").copy()
    rng = numpy.random.default_rng(7)
    start = time.perf_counter()
    means = numpy.empty(RESAMPLES)
    for i in range(RESAMPLES):
        means[i] = values[rng.integers(0, count, count)].mean()
    least, most = numpy.quantile(means, [0.025, 0.975])
    took = time.perf_counter() - start
    print(took, least, most, flush=True)
