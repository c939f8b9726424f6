#!/bin/sh
# One would guess: a dense layer of torch_geometric given to_dense_adj(edge_index) computes what the sparse layer of the
# same weights computes on edge_index.
# What happens: in torch-geometric 2.8.1 it computes the graph with all edges reversed: to_dense_adj writes an edge from
# j to i at [j, i], and DenseGraphConv multiplies by that row, so j receives from i. The transposed adjacency gives the
# sparse layer's output. Undirected graphs hide it.
# Why it matters: face graphs with a direction (a learned adjacency that is not symmetric, co-occurrence of action
# units) pass messages the wrong way, with the right shapes and no error.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "torch==2.13.0" "torch-geometric==2.8.1"
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import torch
import torch_geometric
from torch_geometric.nn import DenseGraphConv, GraphConv
from torch_geometric.utils import to_dense_adj

torch.manual_seed(0)
sparse, dense = GraphConv(4, 3), DenseGraphConv(4, 3)
dense.load_state_dict(sparse.state_dict())
nodes, edges = torch.randn(3, 4), torch.tensor([[0, 1], [1, 2]])  # 0 -> 1 -> 2
adjacency = to_dense_adj(edges, max_num_nodes=3)[0]
expected = sparse(nodes, edges)
as_it_is, transposed = dense(nodes[None], adjacency)[0], dense(nodes[None], adjacency.T)[0]
print("torch-geometric", torch_geometric.__version__, "largest difference to the sparse layer:",
      (as_it_is - expected).abs().max().item(), "transposed:", (transposed - expected).abs().max().item())
assert not torch.allclose(as_it_is, expected, atol=1e-2)
assert torch.allclose(transposed, expected, atol=1e-6)
PYTHON
