#!/bin/sh
# One would guess: cv2.warpAffine and cv2.remap with INTER_LINEAR move an image of float32 by any fraction of a pixel.
# What happens: both round the place of each output pixel to 1/32 px (opencv-python-headless 4.13.0.92). A shift of .015
# px returns the same image, one of .02 px moves by 1/32 px = .031 px.
# Why it matters: micro-expressions move a face by a pixel or two. Whoever aligns frames by such a warp, or renders
# known motion with it to test optical flow, adds an error of up to 1/64 px that no precision of floats removes.
# torch.nn.functional.grid_sample and scipy.ndimage.shift do not round.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "opencv-python-headless==4.13.0.92" "numpy==2.4.6"
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import cv2
import numpy as np

ramp = np.tile(np.arange(64, dtype=np.float32), (64, 1))  # grey value = x, so a shift by d lowers it by d
columns, rows = np.meshgrid(np.arange(64, dtype=np.float32), np.arange(64, dtype=np.float32))
moved = {}
for shift in (0.015, 0.02, 0.03125, 0.04):
    matrix = np.float32([[1, 0, shift], [0, 1, 0]])
    affine = ramp - cv2.warpAffine(ramp, matrix, (64, 64), flags=cv2.INTER_LINEAR)
    mapped = ramp - cv2.remap(ramp, columns - np.float32(shift), rows, cv2.INTER_LINEAR)
    moved[shift] = float(affine[32, 32]), float(mapped[32, 32])
    print(f"asked {shift} px, moved by warpAffine and remap: {moved[shift]} px")
print("opencv", cv2.__version__)
assert moved == {0.015: (0, 0), 0.02: (0.03125, 0.03125), 0.03125: (0.03125, 0.03125), 0.04: (0.03125, 0.03125)}
PYTHON
