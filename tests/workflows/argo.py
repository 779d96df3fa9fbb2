"""Reads a workflow with hera's models of Argo's API, and says what is in it that they do not have.

argo.py FILE
"""

import json
import sys

from hera.workflows.models import Workflow
from ruamel.yaml import YAML


def lost(given, kept, path):
    """Fields that were read and are not there: Argo would ignore or refuse them."""
    if isinstance(given, dict):
        for name, value in given.items():
            here = f"{path}.{name}"
            if not isinstance(kept, dict) or name not in kept:
                yield here
            else:
                yield from lost(value, kept[name], here)
    elif isinstance(given, list):
        for i, value in enumerate(given):
            yield from lost(value, kept[i], f"{path}[{i}]")


given = YAML(typ="safe").load(open(sys.argv[1], encoding="utf-8"))
kept = json.loads(Workflow.model_validate(given).model_dump_json(by_alias=True, exclude_unset=True))
unknown = list(lost(given, kept, "$"))
templates = {template["name"] for template in given["spec"]["templates"]}
tasks = [task["template"] for template in given["spec"]["templates"] for task in template.get("dag", {}).get("tasks", [])]
named = [*tasks, given["spec"]["entrypoint"], given["spec"]["onExit"]]
missing = [name for name in named if name not in templates]
if unknown or missing:
    sys.exit(f"{sys.argv[1]}: Argo does not know {unknown}, and there is no template {missing}")
