"""Cast rays at a mesh."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from merec.open3d_import import load_open3d


def make_scene(
    vertices: Float[np.ndarray, "vertices 3"], triangles: Int[np.ndarray, "triangles 3"]
) -> Any:
    """Make Open3D's scene of one mesh, on one thread."""
    o3d = load_open3d()
    scene = o3d.t.geometry.RaycastingScene(nthreads=1)
    scene.add_triangles(
        o3d.core.Tensor(np.ascontiguousarray(vertices, dtype=np.float32)),
        o3d.core.Tensor(triangles.astype(np.uint32)),
    )
    return scene
