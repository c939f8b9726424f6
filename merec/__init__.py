"""merec: reliable experiments in micro-expression recognition."""

__version__ = "0.1.0"
