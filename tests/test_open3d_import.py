"""Open3D is imported where no libusb is installed, without a word."""

import subprocess
import sys

CAST = """
from merec.open3d_import import load_open3d
import numpy as np
open3d = load_open3d()
scene = open3d.t.geometry.RaycastingScene()
corners = np.array([[-1, -1, 2], [1, -1, 2], [0, 1, 2]], np.float32)
scene.add_triangles(corners, np.array([[0, 1, 2]], np.uint32))
hit = scene.cast_rays(np.array([[0, 0, 0, 0, 0, 1]], np.float32))
assert abs(hit["t_hit"].numpy() - 2) < 1e-5
assert load_open3d() is open3d
"""


def test_a_fresh_process_casts_a_ray_and_nothing_appears_on_the_screen():
    done = subprocess.run([sys.executable, "-c", CAST], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
