"""Small honest run folders."""

from fake_runs import index, runs

__all__ = ["index", "runs"]
