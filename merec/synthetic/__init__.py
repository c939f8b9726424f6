"""Rendered RGB-D faces in the layout of CAS(ME)^3, whose every movement is known."""

from merec.synthetic.read import read_synthetic

__all__ = ["read_synthetic"]
