#!/bin/sh
# One would guess: an attribute that a torch_geometric Data object carries as a label (the number of a frame, of a
# subject) is the same after samples are put into a batch.
# What happens: in torch-geometric 2.8.1 every attribute whose name contains `index` is raised by the number of nodes of
# the samples before it, plain ints too: apex_index 12 of the second sample of 68 landmarks becomes 80. apex_frame stays
# 12.
# Why it matters: micro-expression corpora name their key frames onset_index, apex_index, subject_index. Training shows
# no error; a later look-up by subject or frame is wrong for all but the first sample of a batch.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "torch==2.13.0" "torch-geometric==2.8.1"
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import torch
import torch_geometric
from torch_geometric.data import Batch, Data

face = {"pos": torch.zeros(68, 2), "apex_index": 12, "apex_frame": 12}
batch = Batch.from_data_list([Data(**face), Data(**face)])
print("torch-geometric", torch_geometric.__version__, batch.apex_index.tolist(), batch.apex_frame.tolist())
assert batch.apex_index.tolist() == [12, 80] and batch.apex_frame.tolist() == [12, 12]
PYTHON
