"""Points of facial regions as graphs for torch_geometric.

Tensors, a table and a description are stored, and a script that reads them without merec: pickled graphs
could not be read by `torch.load` under `weights_only`.
"""

import shutil
from pathlib import Path

import numpy as np
from jaxtyping import Float
from safetensors.numpy import save_file

from merec.features.regions import REGIONS
from merec.features.representations.points import FEATURES
from merec.files import write_json
from merec.types import Corpus

_SCRIPT = Path(__file__).with_name("graph_dataset.py")


def write_graphs(
    corpus: Corpus, points: Float[np.ndarray, "samples regions k 6"], modality: str, folder: Path
) -> str:
    """Write a graph of each sample.

    Args:
        corpus: The samples.
        points: Their points.
        modality: `rgb`, `depth` or `fused`.
        folder: Folder to write to.

    Returns:
        Summary of what was written.
    """
    samples, regions, k, _ = points.shape
    nodes = points.reshape(samples, regions * k, len(FEATURES))
    tensors = {
        "pos": np.ascontiguousarray(nodes[..., :3]),
        "motion": np.ascontiguousarray(nodes[..., 3:]),
        "region": np.repeat(np.arange(regions), k),
    }
    save_file(tensors, folder / "graphs.safetensors")
    index, protocol = corpus.index, corpus.protocol
    columns = ["sample_id", "corpus", "subject", "label"]
    table = index[columns].rename(columns={"sample_id": "sample"})
    table["class"] = [protocol.classes[label] for label in index["label"]]
    table.to_csv(folder / "samples.csv", index=False)
    about = {
        "protocol": protocol.name,
        "protocol_hash": protocol.hash,
        "classes": list(protocol.classes),
        "representation": "points",
        "modality": modality,
        "pos": FEATURES[:3],
        "motion": FEATURES[3:],
        "regions": REGIONS,
    }
    write_json(folder / "about.json", about)
    shutil.copyfile(_SCRIPT, folder / "dataset.py")
    return (
        f"{samples} graphs of {regions * k} points, {modality}; "
        f"{index['subject'].nunique()} subjects; classes: {', '.join(protocol.classes)}"
    )
