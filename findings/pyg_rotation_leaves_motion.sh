#!/bin/sh
# One would guess: RandomRotate and RandomFlip turn all of a moving point: its place and the displacement that it
# carries as a node feature.
# What happens: in torch-geometric 2.8.1 they change `pos` only. A point at (1, 0) that moves along x is at (0, −1)
# after a quarter turn and still moves along x.
# Why it matters: as augmentation of faces this shows a network brows that move sideways: the direction is what tells
# action units apart. One matrix has to be applied to places and motion alike.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "torch==2.13.0" "torch-geometric==2.8.1"
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import torch
import torch_geometric
from torch_geometric.data import Data
from torch_geometric.transforms import RandomFlip, RandomRotate

point = Data(pos=torch.tensor([[1.0, 0.0]]), x=torch.tensor([[1.0, 0.0]]))
turned, flipped = RandomRotate((90, 90))(point.clone()), RandomFlip(0, p=1.0)(point.clone())
print("torch-geometric", torch_geometric.__version__)
print("quarter turn: place", turned.pos.round().tolist(), "motion", turned.x.tolist())
print("mirrored: place", flipped.pos.tolist(), "motion", flipped.x.tolist())
assert turned.pos.abs().round().tolist() == [[0, 1]] and turned.x.tolist() == [[1, 0]]
assert flipped.pos.tolist() == [[-1, 0]] and flipped.x.tolist() == [[1, 0]]
PYTHON
