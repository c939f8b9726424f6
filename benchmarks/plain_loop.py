"""STSTNet as one writes it down: one fold after the other, three streams, a DataLoader per fold, two threads.

python -m benchmarks.plain_loop FOLDER EPOCHS
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset


class ThreeStreams(nn.Module):
    """STSTNet as it is usually written: one convolution, norm and pooling per stream."""

    def __init__(self) -> None:
        super().__init__()
        sizes = (3, 5, 8)
        self.convolutions = nn.ModuleList([nn.Conv2d(3, n, 3, padding=1) for n in sizes])
        self.norms = nn.ModuleList([nn.BatchNorm2d(n) for n in sizes])
        self.pool, self.dropout = nn.MaxPool2d(3, 3, 1), nn.Dropout(0.5)
        self.average, self.classify = nn.AvgPool2d(2), nn.Linear(400, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits."""
        streams = [
            self.dropout(self.pool(norm(torch.relu(convolution(inputs)))))
            for convolution, norm in zip(self.convolutions, self.norms, strict=True)
        ]
        return self.classify(self.average(torch.cat(streams, 1)).flatten(1))


def main(folder: Path, epochs: int, batch_size: int = 256) -> None:
    """Hold every subject out once, and predict it after each epoch as merec does."""
    torch.set_num_threads(2)
    with np.load(folder / "flow.npz") as arrays:
        ids, maps = arrays["sample_id"].tolist(), torch.tensor(arrays["flow"]).float()
    table = pd.read_csv(folder / "samples.csv", dtype=str).set_index("sample_id").loc[ids]
    label = torch.tensor(table["label"].astype(int).to_numpy())
    for subject in sorted(table["subject"].unique()):
        test = torch.tensor((table["subject"] == subject).to_numpy())
        network = ThreeStreams()
        optimizer = torch.optim.Adam(network.parameters(), lr=5e-5)
        train = TensorDataset(maps[~test], label[~test])
        loader = DataLoader(train, batch_size=batch_size, shuffle=True)
        for _ in range(epochs):
            network.train()
            for inputs, wanted in loader:
                optimizer.zero_grad()
                cross_entropy(network(inputs), wanted).backward()
                optimizer.step()
            network.eval()
            with torch.no_grad():
                network(maps[test]).argmax(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
