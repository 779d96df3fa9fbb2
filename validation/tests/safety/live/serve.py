"""serve.py PORT MODEL: llama.cpp's server (PyPI xllamacpp) with a model.

One slot, one thread and no cache of prompts: that is what makes its answers at temperature 0 the same."""
import os, signal, sys
import xllamacpp

parameters = xllamacpp.CommonParams()
parameters.model.path = sys.argv[2]
parameters.model_alias = ["gemma"]
parameters.hostnames = ["127.0.0.1"]
parameters.port = int(sys.argv[1])
parameters.n_ctx, parameters.n_parallel, parameters.n_gpu_layers = 1024, 1, 0
parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
parameters.cpuparams.poll = parameters.cpuparams_batch.poll = 0
parameters.use_jinja, parameters.cache_prompt, parameters.offline, parameters.ui = True, False, True, False
server = xllamacpp.Server(parameters)
signal.sigwait({signal.SIGTERM, signal.SIGINT})
os._exit(0)
