"""Ray casting against a mesh with Open3D."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from merec.open3d_import import load_open3d


def make_ray_caster(
    vertices: Float[np.ndarray, "vertices 3"], triangles: Int[np.ndarray, "triangles 3"]
) -> Any:
    """Return an Open3D `RaycastingScene` of one mesh that uses one thread."""
    o3d = load_open3d()
    ray_caster = o3d.t.geometry.RaycastingScene(nthreads=1)
    ray_caster.add_triangles(
        o3d.core.Tensor(np.ascontiguousarray(vertices, dtype=np.float32)),
        o3d.core.Tensor(triangles.astype(np.uint32)),
    )
    return ray_caster
