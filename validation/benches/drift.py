"""What SciPy or evidently take for PSI, Kolmogorov-Smirnov, Wasserstein-1 and Jensen-Shannon of two samples.

Reads a letter (s or e), a number and two samples of so many values; answers with seconds and the four figures.
"""

import sys
import time
import warnings

import numpy
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp, wasserstein_distance

warnings.filterwarnings("ignore")


def scipy(reference, current):
    edges = numpy.unique(numpy.quantile(reference, numpy.arange(1, 10) / 10))

    def shares(values):
        counts = numpy.bincount(numpy.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
        share = counts / len(values)
        return numpy.where(share == 0, 1e-4, share)

    p, q = shares(reference), shares(current)
    psi = numpy.sum((p - q) * numpy.log(p / q))
    ks = ks_2samp(reference, current, method="asymp").statistic
    return psi, ks, wasserstein_distance(reference, current), jensenshannon(p, q)


def evidently():
    """Its tests themselves, without the report around them."""
    import pandas
    from evidently.legacy.calculations import stattests
    from evidently.legacy.core import ColumnType

    tests = [
        stattests.psi_stat_test,
        stattests.ks_stat_test,
        stattests.wasserstein_stat_test,
        stattests.jensenshannon_stat_test,
    ]

    def run(reference, current):
        reference, current = pandas.Series(reference), pandas.Series(current)
        return [test(reference, current, ColumnType.Numerical, None).drift_score for test in tests]

    return run


source = sys.stdin.buffer
ways = {b"s": scipy}
while way := source.read(1):
    count = int.from_bytes(source.read(8), "little")
    reference, current = (numpy.frombuffer(source.read(8 * count), "<f8").copy() for _ in range(2))
    if way not in ways:
        ways[way] = evidently()
    start = time.perf_counter()
    figures = ways[way](reference, current)
    took = time.perf_counter() - start
    print(took, *map(float, figures), flush=True)
