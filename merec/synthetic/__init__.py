"""Rendered RGB-D faces with ground-truth movement, in the layout of CAS(ME)^3."""

from merec.synthetic.read import read_synthetic

__all__ = ["read_synthetic"]
