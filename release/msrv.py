"""Whether anything that users compile wants a newer Rust than ours; `cargo metadata` comes on stdin."""

import json
import sys

metadata = json.load(sys.stdin)
packages = {package["id"]: package for package in metadata["packages"]}
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}


def number(version):
    return tuple(int(part) for part in (version.split(".") + ["0", "0"])[:3])


pending = list(metadata["workspace_members"])
promised = {packages[member]["rust_version"] for member in pending}
if len(promised) != 1 or None in promised:
    sys.exit(f"the crates do not agree on a Rust: {promised}")
(promised,) = promised
reached = set(pending)
while pending:
    for dependency in nodes[pending.pop()]["deps"]:
        kinds = {kind["kind"] for kind in dependency["dep_kinds"]}
        if kinds - {"dev"} and dependency["pkg"] not in reached:
            reached.add(dependency["pkg"])
            pending.append(dependency["pkg"])
newer = sorted(
    f"{package['name']} {package['version']} wants Rust {package['rust_version']}, and we promise {promised}"
    for package in (packages[each] for each in reached)
    if package["rust_version"] and number(package["rust_version"]) > number(promised)
)
silent = sum(1 for each in reached if not packages[each]["rust_version"])
print(f"{len(reached)} packages, of which {silent} do not say which Rust they want; we promise {promised}")
sys.exit("\n".join(newer) or None)
