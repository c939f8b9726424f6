#!/bin/sh
# One would guess: functools.partial(factory, b=2).keywords holds all arguments if `factory` is what Hydra builds from a node
# with `_partial_: true`, for partials of partials are merged, and Hydra's is an instance of functools.partial.
# What happens (hydra-core 1.3.8): Hydra's object is of a subclass with its own __call__, which functools does not merge. The
# outer partial has its own keywords alone; those of the config are in `.func.keywords`.
# Why it matters: a framework that wraps a configured factory (a Lightning Trainer, an optimiser) and then reads `.keywords`
# to learn its precision or callbacks finds nothing, and says nothing. merec did; tests/tasks/test_finetune.py now asks.
set -eu
version=1.3.8
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "hydra-core==$version"
"$folder/venv/bin/python" - <<'PYTHON'
from functools import partial

import hydra
from hydra.utils import instantiate

factory = instantiate({"_target_": "builtins.dict", "_partial_": True, "precision": "bf16"})
wrapped = partial(factory, plugins=1)
plain = partial(partial(dict, precision="bf16"), plugins=1)
print("hydra-core", hydra.__version__)
print("partial of partial:", plain.keywords)
print("partial of Hydra's:", wrapped.keywords, "and inside", wrapped.func.keywords)
print("called:", wrapped())
assert isinstance(factory, partial)
assert plain.keywords == {"precision": "bf16", "plugins": 1}
assert wrapped.keywords == {"plugins": 1}
assert wrapped.func.keywords == {"precision": "bf16"}
assert wrapped() == {"precision": "bf16", "plugins": 1}
PYTHON
