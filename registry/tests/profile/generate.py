#!/usr/bin/env python3
"""Writes the files beside it, each with the library that defines its format.

    python3 -m venv ENV
    ENV/bin/pip install gguf==0.19.0 ml_dtypes==0.6.0 numpy==2.4.6 onnx==1.23.2 safetensors==0.8.0 tokenizers==0.22.1
    ENV/bin/python generate.py
"""

import json
import os
import pathlib

import gguf
import ml_dtypes
import numpy as np
import onnx
import tokenizers
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent




def write_safetensors():
    save_file(
        {
            "embed.weight": np.zeros([96, 16], ml_dtypes.bfloat16),
            "lm_head.weight": np.zeros([16, 96], np.float32),
            'übergang/"a\\b".bias': np.zeros([16], np.float16),
            "scale": np.zeros([], np.int64),
            "empty": np.zeros([0, 4], np.float32),
        },
        HERE / "mixed.safetensors",
        {"format": "pt", "note": 'a { brace, a " quote and a \\ backslash'},
    )
    for shard, names in ((1, "ab"), (2, "c")):
        save_file(
            {name: np.zeros([8, 8], ml_dtypes.float8_e4m3fn) for name in names},
            HERE / f"shard-0000{shard}-of-00002.safetensors",
        )


def write_gguf(path, endianess):
    writer = gguf.GGUFWriter(path, "llama", endianess=endianess)
    writer.add_name("a tiny llama")
    writer.add_context_length(4096)
    writer.add_embedding_length(256)
    writer.add_float32("llama.rope.freq_base", 10000.0)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_K_M)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"token {n}" for n in range(300)])
    writer.add_token_scores([float(n) for n in range(300)])
    writer.add_token_types([1] * 300)
    writer.add_token_merges([f"a {n}" for n in range(50)])
    writer.add_chat_template("{% for message in messages %}{{ message }}{% endfor %}" * 40)
    q4 = gguf.GGMLQuantizationType.Q4_K
    writer.add_tensor("token_embd.weight", np.zeros((8, 144), np.uint8), raw_dtype=q4)
    writer.add_tensor("blk.0.ffn_down.weight", np.zeros((4, 210), np.uint8), raw_dtype=gguf.GGMLQuantizationType.Q6_K)
    writer.add_tensor("output_norm.weight", np.zeros(256, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_onnx():
    rng = np.random.default_rng(7)

    def initial(name, shape, dtype=np.float32):
        return numpy_helper.from_array((rng.random(shape) * 10).astype(dtype), name)

    def graph(name, nodes, initializers, inputs=(), outputs=("y",)):
        value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        return helper.make_graph(nodes, name, list(map(value, inputs)), list(map(value, outputs)), initializers)

    then = graph("then", [helper.make_node("Add", ["x", "t"], ["a"])], [initial("t", [3])], outputs=["a"])
    other = graph("else", [helper.make_node("Identity", ["x"], ["b"])], [], outputs=["b"])
    nodes = [
        helper.make_node("Constant", [], ["axis"], value=initial("axis", [9], np.int64)),
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other),
    ]
    sparse = helper.make_sparse_tensor(initial("s", [5]), initial("i", [5], np.int64), [100])
    main = graph("main", nodes, [initial("w", [64, 32]), initial("q", [16, 8], np.int8)], inputs=["x", "c"])
    main.sparse_initializer.append(sparse)
    main.initializer.append(helper.make_tensor("packed", TensorProto.FLOAT16, [2, 2], [1.0, 2.0, 3.0, 4.0]))
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(main, producer_name="generate.py", producer_version="1.2", opset_imports=opsets)
    model.ir_version = 10
    onnx.save(model, HERE / "inline.onnx")

    outside = helper.make_model(graph("main", [], [initial("w", [64, 8])], ["w"], ["w"]), producer_name="generate.py")
    onnx.save_model(
        outside,
        HERE / "outside.onnx",
        save_as_external_data=True,
        location="outside.onnx_data",
        size_threshold=0,
    )
    os.remove(HERE / "outside.onnx_data")  # 2 KiB of noise that nobody reads


def write_tokenizers():
    lines = ["the quick brown fox", "jumps over the lazy dog", "größer 😀 \\ \""]
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.train_from_iterator(lines, tokenizers.trainers.BpeTrainer(vocab_size=60, show_progress=False))
    bpe.add_special_tokens(["<|end|>"])
    bpe.save(str(HERE / "bpe.tokenizer.json"))
    unigram = tokenizers.Tokenizer(tokenizers.models.Unigram())
    unigram.train_from_iterator(lines, tokenizers.trainers.UnigramTrainer(vocab_size=40, show_progress=False))
    unigram.save(str(HERE / "unigram.tokenizer.json"))
    print("bpe", bpe.get_vocab_size(), "unigram", unigram.get_vocab_size())


def write_config():
    config = {
        "architectures": ["LlamaForCausalLM", "Second"],
        "max_position_embeddings": 8192,
        "model_type": "llama",
        "quantization_config": {"bits": 4, "desc_act": False, "quant_method": "gptq"},
        "rope_scaling": {"max_position_embeddings": 1, "rope_type": "llama3"},
        "vocab_size": 128256,
    }
    (HERE / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (HERE / "tokenizer_config.json").write_text(
        json.dumps({"model_max_length": 1000000000000000019884624838656, "tokenizer_class": "LlamaTokenizer"}) + "\n"
    )


write_safetensors()
write_gguf(HERE / "little.gguf", gguf.GGUFEndian.LITTLE)
write_gguf(HERE / "big.gguf", gguf.GGUFEndian.BIG)
write_onnx()
write_tokenizers()
write_config()
