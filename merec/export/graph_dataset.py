"""Graphs of micro-expressions for torch_geometric, one per sample.

This file lies beside `graphs.safetensors`, `samples.csv` and `about.json`, which it reads:

    from dataset import MotionGraphs

    graphs = MotionGraphs()
"""

import csv
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch_geometric.data import Data, InMemoryDataset


class MotionGraphs(InMemoryDataset):
    """Graphs of facial points or landmarks with position and motion.

    A graph has `pos` (nodes, 3): x, y, z; `x` (nodes, features): motion; `y` (1): label; `subject` (1):
    number of the subject; `sample` (1): row of the sample in `samples.csv`. Points also have `region`
    (nodes), the number of the facial region, and no edges; add them by a `transform`. Landmarks have
    `edge_index` (2, edges), the mesh of the face.

    Args:
        folder: Folder of the files.
        transform: Transform of each graph when it is read.

    Attributes:
        classes: Names of the labels.
        motion: Names of the columns of `x`.
        regions: Names of the regions; none for landmarks.
        subjects: Names of the subjects.
        sample_ids: Names of the samples.
    """

    def __init__(self, folder: str | Path = Path(__file__).parent, transform: Any = None):
        super().__init__(None, transform)
        folder = Path(folder)
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        with (folder / "samples.csv").open(encoding="utf-8", newline="") as file:
            samples = list(csv.DictReader(file))
        self.classes: list[str] = about["classes"]
        self.motion: list[str] = about["motion"]
        self.regions: list[str] = about["regions"]
        self.subjects = sorted({row["subject"] for row in samples})
        self.sample_ids = [row["sample"] for row in samples]
        tensors = load_file(folder / "graphs.safetensors")
        pos, motion = tensors.pop("pos"), tensors.pop("motion")
        graphs = [
            Data(
                pos=pos[number],
                x=motion[number],
                y=torch.tensor([int(row["label"])]),
                subject=torch.tensor([self.subjects.index(row["subject"])]),
                sample=torch.tensor([number]),
                **tensors,  # the same for all graphs: region or edge_index
            )
            for number, row in enumerate(samples)
        ]
        self.data, self.slices = self.collate(graphs)
