"""Holds the packages in target/package against what a user of crates.io expects; `cargo metadata` comes on stdin."""

import json
import sys
import tarfile
from pathlib import Path

# Compressed. crates.io takes ten times as much; what is larger than this has something in it that nobody meant.
LIMIT = 1 << 20
EXPECTED = {".cargo_vcs_info.json", "Cargo.lock", "Cargo.toml", "Cargo.toml.orig", "README.md", "LICENSE-APACHE", "LICENSE-MIT"}
FOLDERS = {"src", "data"}


def objections(package, target):
    name = f"{package['name']}-{package['version']}"
    path = target / "package" / f"{name}.crate"
    with tarfile.open(path) as archive:
        files = {member.name.removeprefix(f"{name}/"): member for member in archive}
        for licence in ["LICENSE-APACHE", "LICENSE-MIT"]:
            if licence not in files or archive.extractfile(files[licence]).read() != Path(licence).read_bytes():
                yield f"{licence} is missing, or is another one"
    for file in ["README.md", "Cargo.toml", "src/lib.rs"]:
        if file not in files:
            yield f"{file} is missing"
    for file in sorted(files):
        if file not in EXPECTED | {"CHANGELOG.md"} and file.split("/")[0] not in FOLDERS:
            yield f"{file} does not belong to it (`include` in its manifest)"
    size = path.stat().st_size
    if size > LIMIT:
        yield f"it is of {size} bytes, and {LIMIT} are the limit"
    for key in ["description", "license", "repository", "rust_version", "readme"]:
        if not package[key]:
            yield f"its manifest has no `{key.replace('_', '-')}`"
    if not package["categories"] or not 1 <= len(package["keywords"]) <= 5:
        yield "its manifest has no categories, or not one to five keywords"
    if (package["metadata"] or {}).get("docs", {}).get("rs") != {"all-features": True, "rustdoc-args": ["--cfg", "docsrs"]}:
        yield "docs.rs is not told to show all features ([package.metadata.docs.rs])"
    # The facade has no item of its own to mark.
    if package["name"] != "tidegate" and "cfg_attr(docsrs, feature(doc_cfg))" not in source(package):
        yield "its documentation does not say which feature an item needs (`doc_cfg`)"
    print(f"{name}: {len(files)} files, {size / 1000:.0f} kB")


def source(package):
    return next(Path(target["src_path"]).read_text() for target in package["targets"] if "lib" in target["kind"])


metadata = json.load(sys.stdin)
published = [package for package in metadata["packages"] if package["publish"] is None]
found = [f"{package['name']}: {said}" for package in published for said in objections(package, Path(metadata["target_directory"]))]
if len(published) != 6:
    found.append(f"{len(published)} crates are published, and not the facade and its five")
sys.exit("\n".join(found) or None)
