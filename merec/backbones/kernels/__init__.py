"""Faster implementations of some layers, and dropout with one generator per stacked fold."""
