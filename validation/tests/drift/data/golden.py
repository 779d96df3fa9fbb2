"""Makes the tables of these tests of scikit-learn's breast-cancer set, and prints what SciPy finds in them.

    python3 -m venv tools && tools/bin/pip install scipy scikit-learn pyarrow
    tools/bin/python golden.py
"""

import csv

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import spatial, stats
from sklearn.datasets import load_breast_cancer

NAMES = ["mean radius", "mean texture", "mean smoothness", "mean symmetry", "texture error", "worst concavity"]
table = load_breast_cancer()
columns = {name: table.data[:, list(table.feature_names).index(name)] for name in NAMES}
sides = {"benign": table.target == 1, "malignant": table.target == 0}

for side, rows in sides.items():
    with open(f"{side}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(NAMES)
        writer.writerows(zip(*(columns[name][rows].tolist() for name in NAMES)))
benign = {name: pa.array(values[sides["benign"]]) for name, values in columns.items()}
pq.write_table(pa.table(benign), "benign.parquet", compression="snappy", row_group_size=150)

# A column of each type, with a value missing.
rows = range(60)
kinds = {
    "flag": pa.array([None if row == 7 else row % 2 == 0 for row in rows], pa.bool_()),
    "small": pa.array([None if row == 7 else row * 3 for row in rows], pa.int32()),
    "unsigned": pa.array([2**32 - 1 - row for row in rows], pa.uint32()),
    "single": pa.array([row / 4 for row in rows], pa.float32()),
    "price": pa.array([f"{row - 30}.25" for row in rows]).cast(pa.decimal128(20, 2)),
    "name": pa.array([None if row == 7 else ["de", "fr", "it"][row % 3] for row in rows]).dictionary_encode(),
    "at": pa.array([1_764_000_000_000 + row for row in rows], pa.timestamp("ms")),
    "tags": pa.array([["a"] * (row % 3) for row in rows], pa.list_(pa.string())),
    "user": pa.array([{"age": 20 + row % 40} for row in rows], pa.struct([("age", pa.int64())])),
}
pq.write_table(pa.table(kinds), "kinds.parquet", compression="snappy", data_page_version="2.0")

# Encodings without a dictionary, with values missing, in several pages of either version.
def unless_missing(values):
    return [None if row % 7 == 0 else value for row, value in enumerate(values)]


deltas = {
    "step": pa.array(unless_missing([row * 3 - 500 for row in range(600)]), pa.int64()),
    "code": pa.array(unless_missing([["de", "fr", "it"][row % 3] for row in range(600)])),
    "page": pa.array(unless_missing([f"shop/{'ab'[row % 2]}/page-{row % 5}" for row in range(600)])),
    "ratio": pa.array(unless_missing([row / 8 for row in range(600)]), pa.float64()),
}
for version in ["1.0", "2.0"]:
    pq.write_table(
        pa.table(deltas),
        f"deltas-{version[0]}.parquet",
        compression="snappy",
        data_page_version=version,
        data_page_size=256,
        write_batch_size=64,
        use_dictionary=False,
        column_encoding={
            "step": "DELTA_BINARY_PACKED",
            "code": "DELTA_LENGTH_BYTE_ARRAY",
            "page": "DELTA_BYTE_ARRAY",
            "ratio": "BYTE_STREAM_SPLIT",
        },
    )


def shares(values, edges):
    return np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1) / len(values)


for name, values in columns.items():
    one, other = values[sides["benign"]], values[sides["malignant"]]
    edges = np.unique(np.quantile(one, np.arange(1, 10) / 10))
    p, q = shares(one, edges), shares(other, edges)
    floor = lambda share: np.where(share == 0, 1e-4, share)
    print(
        f'("{name}", [{stats.ks_2samp(one, other).statistic:.9f}, {stats.wasserstein_distance(one, other):.9f}, '
        f"{stats.wasserstein_distance(one, other) / np.std(one):.9f}, "
        f"{np.sum((floor(p) - floor(q)) * np.log(floor(p) / floor(q))):.9f}, "
        f"{spatial.distance.jensenshannon(p, q):.9f}]),"
    )
