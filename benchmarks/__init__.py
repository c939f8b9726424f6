"""Measurements: each a ratio of two things timed in turn within one run."""
