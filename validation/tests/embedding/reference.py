"""reference.py MODEL-DIRECTORY ROUNDS: what onnxruntime and Hugging Face's tokenizers make of the texts on standard input.

Reads a JSON list of texts and writes {"ids": [[…]], "vectors": [[…]], "seconds": …}: tokens, mean-pooled vectors of
length 1, and the least time of so many rounds for all texts in batches of 32, on one thread. The graph is written here, node by
node from the paper (Devlin et al., arXiv:1810.04805), over the same weights: the package has no ONNX."""
import json, pathlib, sys, time
import numpy, onnx, onnxruntime, safetensors.numpy, tokenizers
from onnx import TensorProto, helper, numpy_helper

directory, rounds = pathlib.Path(sys.argv[1]), int(sys.argv[2])
config = json.loads((directory / "config.json").read_text())
weights = safetensors.numpy.load_file(directory / "model.safetensors")
width, heads = config["hidden_size"], config["num_attention_heads"]
each = width // heads
nodes, constants, names = [], [], iter(range(10**9))


def constant(array):
    name = f"c{next(names)}"
    constants.append(numpy_helper.from_array(numpy.ascontiguousarray(array), name))
    return name


def node(kind, *inputs, **attributes):
    name = f"n{next(names)}"
    nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
    return name


def linear(x, name):
    product = node("MatMul", x, constant(weights[f"{name}.weight"].T))
    return node("Add", product, constant(weights[f"{name}.bias"]))


def norm(x, name):
    scale, bias = constant(weights[f"{name}.weight"]), constant(weights[f"{name}.bias"])
    return node("LayerNormalization", x, scale, bias, axis=-1, epsilon=config["layer_norm_eps"])


def split(x, order):
    shaped = node("Reshape", x, constant(numpy.array([0, 0, heads, each])))
    return node("Transpose", shaped, perm=order)


x = node("Gather", constant(weights["embeddings.word_embeddings.weight"]), "ids")
x = node("Add", x, node("Gather", constant(weights["embeddings.position_embeddings.weight"]), "positions"))
x = node("Add", x, constant(weights["embeddings.token_type_embeddings.weight"][0]))
x = norm(x, "embeddings.LayerNorm")
for i in range(config["num_hidden_layers"]):
    at = f"encoder.layer.{i}"
    q = split(linear(x, f"{at}.attention.self.query"), [0, 2, 1, 3])
    k = split(linear(x, f"{at}.attention.self.key"), [0, 2, 3, 1])
    v = split(linear(x, f"{at}.attention.self.value"), [0, 2, 1, 3])
    scores = node("Div", node("MatMul", q, k), constant(numpy.float32(each**0.5)))
    shares = node("Softmax", node("Add", scores, "bias"), axis=-1)
    mixed = node("Transpose", node("MatMul", shares, v), perm=[0, 2, 1, 3])
    mixed = node("Reshape", mixed, constant(numpy.array([0, 0, width])))
    x = norm(node("Add", linear(mixed, f"{at}.attention.output.dense"), x), f"{at}.attention.output.LayerNorm")
    wide = node("Gelu", linear(x, f"{at}.intermediate.dense"))
    x = norm(node("Add", linear(wide, f"{at}.output.dense"), x), f"{at}.output.LayerNorm")

inputs = [
    helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"]),
    helper.make_tensor_value_info("positions", TensorProto.INT64, ["length"]),
    helper.make_tensor_value_info("bias", TensorProto.FLOAT, ["batch", 1, 1, "length"]),
]
outputs = [helper.make_tensor_value_info(x, TensorProto.FLOAT, ["batch", "length", width])]
graph = helper.make_graph(nodes, "bert", inputs, outputs, constants)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
onnx.checker.check_model(model)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

tokenizer = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
tokenizer.no_padding()
tokenizer.enable_truncation(256)


def embed(texts):
    encoded = tokenizer.encode_batch(texts)
    # Alike in length, as sentence-transformers sorts them.
    order = sorted(range(len(texts)), key=lambda i: len(encoded[i].ids))
    vectors = [None] * len(texts)
    for start in range(0, len(texts), 32):
        batch = order[start : start + 32]
        longest = max(len(encoded[i].ids) for i in batch)
        ids = numpy.zeros((len(batch), longest), numpy.int64)
        mask = numpy.zeros((len(batch), longest), numpy.float32)
        for row, i in enumerate(batch):
            own = encoded[i].ids
            ids[row, : len(own)], mask[row, : len(own)] = own, 1
        bias = ((1 - mask) * -1e9)[:, None, None, :]
        hidden = session.run(None, {"ids": ids, "positions": numpy.arange(longest), "bias": bias})[0]
        means = (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
        for i, vector in zip(batch, means / numpy.linalg.norm(means, axis=1, keepdims=True)):
            vectors[i] = vector.tolist()
    return [one.ids for one in encoded], vectors


texts, least = json.load(sys.stdin), float("inf")
for _ in range(rounds):
    start = time.perf_counter()
    ids, vectors = embed(texts)
    least = min(least, time.perf_counter() - start)
json.dump({"ids": ids, "vectors": vectors, "seconds": least}, sys.stdout)
