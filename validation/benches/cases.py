"""Other runners on the cases of a directory: says the seconds of CPU and the most bytes of the process that ran them."""

import json
import os
import pathlib
import resource
import subprocess
import sys

runner, *rest, directory = sys.argv[1:]
directory = pathlib.Path(directory)
cases = [json.loads(line) for line in (directory / "cases.jsonl").read_text().splitlines()]
environment = dict(os.environ)

if runner == "inspect":
    # 100 connections and no display, at its best.
    script = directory / "inspect_cases.py"
    script.write_text(
        f"""import json, pathlib
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import includes
cases = [json.loads(line) for line in pathlib.Path({str(directory / "cases.jsonl")!r}).read_text().splitlines()]
samples = [Sample(input=case["input"], target=case["target"], id=case["id"]) for case in cases]
# With a usage nothing has to be counted, which would be downloaded for.
def echo(messages, *rest):
    output = ModelOutput.from_content("mockllm/model", messages[-1].text)
    output.usage = ModelUsage(input_tokens=3, output_tokens=3, total_tokens=6)
    return output
[log] = eval(Task(dataset=samples, scorer=includes()), model=get_model("mockllm/model", custom_outputs=echo),
             max_connections=100, display="none", log_dir={str(directory / "logs")!r})
assert log.status == "success", log.error
assert log.results.completed_samples == len(samples)
assert log.results.scores[0].metrics["accuracy"].value == 1.0
"""
    )
    command = [sys.executable, str(script)]
else:
    config = directory / "promptfoo.json"
    tests = [
        {"vars": {"input": case["input"]}, "assert": [{"type": "contains", "value": case["target"]}]}
        for case in cases
    ]
    config.write_text(json.dumps({"prompts": ["{{input}}"], "providers": ["echo"], "tests": tests}))
    command = [*rest, "eval", "-c", str(config), "-j", "20", "--no-cache", "--no-table", "--no-progress-bar", "--no-write"]
    environment |= {
        "PROMPTFOO_DISABLE_TELEMETRY": "1",
        "PROMPTFOO_DISABLE_UPDATE": "1",
        "PROMPTFOO_CONFIG_DIR": str(directory / "promptfoo"),
    }

done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
if done.returncode != 0:
    sys.exit(f"{runner} ended with {done.returncode}: {done.stderr[-2000:]}")
took = resource.getrusage(resource.RUSAGE_CHILDREN)
print(took.ru_utime + took.ru_stime, took.ru_maxrss * 1024)
