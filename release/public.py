"""Which crates are seen in the API of ours, from the JSON that rustdoc has written; `cargo metadata` comes on stdin.

A crate is named as the one that defines what is seen: `serde_core` for the traits of `serde`."""

import json
import sys
from pathlib import Path

# Of the language; and what a macro leaves in an implementation of `Unpin`, which nobody can name.
LEFT_OUT = {"std", "core", "alloc", "pin_project_lite"}


def seen(document):
    """The names of the crates whose types, traits and functions an item names."""
    crates = {number: crate["name"] for number, crate in document["external_crates"].items()}
    found = {}

    def walk(value, where):
        if isinstance(value, list):
            for each in value:
                walk(each, where)
        elif isinstance(value, dict):
            # A type, a trait, or what is exported again.
            if isinstance(value.get("id"), int) and ("path" in value or "source" in value):
                named = document["paths"].get(str(value["id"]))
                if named and named["crate_id"]:
                    found.setdefault(crates[str(named["crate_id"])], where)
            for each in value.values():
                walk(each, where)

    for item in document["index"].values():
        inner = item["inner"]
        implemented = inner.get("impl", {})
        # Of another crate, or implemented for everything by one.
        if item["crate_id"] or implemented.get("is_synthetic") or implemented.get("blanket_impl"):
            continue
        path = document["paths"].get(str(item["id"]), {}).get("path")
        subject = implemented.get("for", {}).get("resolved_path", {}).get("path")
        walk(inner, "::".join(path) if path else subject or item["name"] or "an item")
    return {crate: where for crate, where in found.items() if crate not in LEFT_OUT}


metadata = json.load(sys.stdin)
wrong = []
for package in metadata["packages"]:
    if package["publish"] is not None:
        continue
    name = package["name"].replace("-", "_")
    document = json.loads((Path(metadata["target_directory"]) / "doc" / f"{name}.json").read_text())
    found, listed = seen(document), ((package["metadata"] or {}).get("release") or {}).get("public", [])
    if listed != sorted(listed):
        wrong.append(f"{package['name']}: the list is not in order")
    for crate in sorted(found.keys() - set(listed)):
        wrong.append(f"{package['name']}: {crate} is seen in its API ({found[crate]}) and not listed")
    for crate in sorted(set(listed) - found.keys()):
        wrong.append(f"{package['name']}: {crate} is listed and is not seen in its API")
    print(f"{package['name']}: {', '.join(sorted(found)) or 'nothing of others'}")
if wrong:
    sys.exit("\n".join(wrong) + "\n(`public` in [package.metadata.release] of its manifest)")
