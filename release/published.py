"""Leaves in the manifests of a copy of the tree only what is published: no tests, benches, examples or what they need."""

import re
import sys
from pathlib import Path

root = Path(sys.argv[1])
LEFT_OUT = re.compile(r"^\[(dev-dependencies|\[bench\]|\[example\]|profile)")
for manifest in [root / "Cargo.toml", *root.glob("*/Cargo.toml")]:
    kept, keep = [], True
    for line in manifest.read_text().splitlines():
        if line.startswith("["):
            keep = not LEFT_OUT.match(line)
        if keep:
            kept.append(line.replace(', "examples/controller"', ""))
    manifest.write_text("\n".join(kept) + "\n")
