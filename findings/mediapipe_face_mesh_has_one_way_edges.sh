#!/bin/sh
# One would guess: FACE_LANDMARKS_TESSELATION lists the edges of the face mesh, each once, or each in both directions.
# What happens: in mediapipe 0.10.33 it lists the sides of 852 triangles, each in the direction in which its triangle
# is walked. Of 1,322 edges 1,234 come in both directions, and 88 on the borders (face, eyes, mouth) in one.
# Why it matters: a graph network on the list as it is passes messages over the borders one way only.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "mediapipe==0.10.33"
"$folder/venv/bin/python" - <<'PYTHON'
from mediapipe.tasks.python.vision.face_landmarker import FaceLandmarksConnections

edges = [(edge.start, edge.end) for edge in FaceLandmarksConnections.FACE_LANDMARKS_TESSELATION]
given = set(edges)
one_way = [(a, b) for a, b in given if (b, a) not in given]
undirected = {frozenset(edge) for edge in given}
print(f"mediapipe 0.10.33: {len(edges)} connections, {len(undirected)} edges, {len(one_way)} in one direction only")
closed = all(
    edges[i][1] == edges[i + 1][0] and edges[i + 1][1] == edges[i + 2][0] and edges[i + 2][1] == edges[i][0]
    for i in range(0, len(edges), 3)
)
assert (len(edges), len(undirected), len(one_way), closed) == (2556, 1322, 88, True)
PYTHON
