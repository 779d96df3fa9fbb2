"""Writes `files/` with the formats' own libraries: safetensors 0.8.0, gguf 0.19.0, onnx 1.23.2, h5py 3.16.0.

    python formats.py
"""

import json
import pathlib

import gguf
import h5py
import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

FILES = pathlib.Path(__file__).parent / "files"
TEMPLATE = (
    "{%- for message in messages %}{{- '<|im_start|>' + message['role'] + '\\n' + message.content | trim }}"
    "{% generation %}{{ '<|im_end|>' }}{% endgeneration %}{%- endfor %}"
)


def write_gguf(name, endian):
    writer = gguf.GGUFWriter(FILES / name, "llama", endianess=endian)
    writer.add_block_count(2)
    writer.add_token_list(["<s>", "a", "b"])
    writer.add_token_scores([0.0, -1.0, -2.0])
    writer.add_chat_template([{"name": "default", "template": TEMPLATE}, {"name": "tools", "template": TEMPLATE}])
    writer.add_tensor("a.weight", numpy.arange(6, dtype="f4").reshape(2, 3))
    writer.add_tensor("b.weight", numpy.arange(4, dtype="f2"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_onnx():
    weights = numpy_helper.from_array(numpy.array([1, 2], "f4"), "w")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [weights])
    model = helper.make_model(graph, producer_name="tests", opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(model, FILES / "plain.onnx")
    onnx.save(model, FILES / "external.onnx", save_as_external_data=True, location="external.bin", size_threshold=0)
    (FILES / "external.bin").unlink()


def write_hdf5(name, layer):
    """As `keras.src.legacy.saving.legacy_h5_format.save_model_to_hdf5` does, with the text at its real size."""
    layers = [{"class_name": "InputLayer", "config": {"name": "in"}, "module": "keras.layers", "registered_name": None}]
    layers += [{"class_name": layer, "config": {"name": f"l{n}"}, "module": "keras.layers"} for n in range(9)]
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    with h5py.File(FILES / name, "w") as file:
        file.attrs["keras_version"] = "3.15.1"
        file.attrs["model_config"] = json.dumps(config).encode("utf8")
        file.create_group("model_weights").create_dataset("w", data=numpy.arange(3, dtype="f4"))


def main():
    FILES.mkdir(exist_ok=True)
    tensors = {"a": numpy.arange(6, dtype="f4").reshape(2, 3), "b": numpy.ones(3, "i8"), "empty": numpy.ones((0, 4), "f2")}
    save_file(tensors, FILES / "plain.safetensors", metadata={"format": "pt"})
    write_gguf("little.gguf", gguf.GGUFEndian.LITTLE)
    write_gguf("big.gguf", gguf.GGUFEndian.BIG)
    write_onnx()
    write_hdf5("dense.h5", "Dense")
    write_hdf5("lambda.h5", "Lambda")


if __name__ == "__main__":
    main()
