#!/bin/sh
# One would guess: a message-passing layer of torch-geometric is built in memory.
# What happens: torch-geometric 2.8.1 writes a generated module for each kind of layer into the folder of temporary
# files, and never deletes it. Every process writes its own.
# Why it matters: leave-one-subject-out with a process per fold leaves files for every fold of every run.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "torch==2.13.0" "torch-geometric==2.8.1"
mkdir "$folder/temporary"
for process in 1 2; do
    TMPDIR="$folder/temporary" "$folder/venv/bin/python" -c '
from torch import nn
from torch_geometric.nn import EdgeConv
EdgeConv(nn.Linear(4, 4))
EdgeConv(nn.Linear(8, 8))
'
done
left=$(find "$folder/temporary" -name 'torch_geometric*.py' | wc -l)
echo "torch-geometric 2.8.1: $left files left by two processes with two layers of one kind each"
[ "$left" -eq 2 ]
