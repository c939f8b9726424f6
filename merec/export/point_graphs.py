"""Export of facial points or landmarks as graphs for torch_geometric.

Tensors, a table and a description are stored, and a script that reads them without merec: pickled graphs
could not be read by `torch.load` under `weights_only`.
"""

import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from merec.features.face_mesh import list_edges
from merec.features.regions import REGIONS
from merec.features.representations import Representation
from merec.files import write_json
from merec.types import Corpus

REPRESENTATIONS = ("points", "landmark_graph")
_SCRIPT = Path(__file__).with_name("graph_dataset.py")


def write_graphs(
    corpus: Corpus, array: np.ndarray, representation: Representation, modality: str, folder: Path
) -> str:
    """Write one graph per sample.

    Args:
        corpus: Corpus of the samples.
        array: Points (samples, regions, k, features) or landmarks (samples, nodes, features) of the samples;
            the first three features are the position, the remaining features the motion.
        representation: One of `REPRESENTATIONS`.
        modality: `rgb`, `depth` or `fused`.
        folder: Folder to write to.

    Returns:
        Summary of the export.
    """
    (features,) = representation.channels(modality)
    nodes = array.reshape(len(array), -1, len(features))
    tensors = {
        "pos": np.ascontiguousarray(nodes[..., :3]),
        "motion": np.ascontiguousarray(nodes[..., 3:]),
    }
    if representation.has_regions:
        tensors["region"] = np.repeat(np.arange(len(REGIONS)), array.shape[2])
    else:
        tensors["edge_index"] = np.ascontiguousarray(list_edges(), np.int64)
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
        "representation": representation.name,
        "modality": modality,
        "pos": features[:3],
        "motion": features[3:],
        "regions": REGIONS if representation.has_regions else [],
    }
    write_json(folder / "about.json", about)
    shutil.copyfile(_SCRIPT, folder / "dataset.py")
    return (
        f"{len(nodes)} graphs of {nodes.shape[1]} nodes, {representation.name}, {modality}; "
        f"{index['subject'].nunique()} subjects; classes: {', '.join(protocol.classes)}"
    )
