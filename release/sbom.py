"""Holds a bill of materials against the schema of CycloneDX, and looks whether it names what it is of."""

import json
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

with open(sys.argv[1], encoding="utf-8") as file:
    text = file.read()
if error := JsonStrictValidator(SchemaVersion.V1_5).validate_str(text):
    sys.exit(f"it is no bill of CycloneDX 1.5: {error}")
bill = json.loads(text)
components = {component["name"]: component for component in bill["components"]}
for name in ["tidegate-registry", "tidegate-metrics", "tidegate-validation", "tidegate-canary", "tidegate-rollback", "object_store", "kube", "reqwest"]:
    if name not in components:
        sys.exit(f"{name} is missing")
for name in ["axum", "criterion", "proptest", "clap"]:
    if name in components:
        sys.exit(f"{name} is of the tests or the examples, and is no part of the libraries")
unlicensed = [name for name, component in components.items() if not component.get("licenses")]
print(f"{bill['metadata']['component']['name']} {bill['metadata']['component']['version']}: {len(components)} components, in CycloneDX {bill['specVersion']}")
if unlicensed:
    sys.exit(f"without a licence: {', '.join(sorted(unlicensed))}")
