"""Faster forms of some layers, and dropout that stacked folds draw from generators of their own."""
