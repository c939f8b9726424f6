"""Baselines: scikit-learn estimators with the same folds and reports as networks (`task=baseline`)."""

from merec.baselines.baseline import Baseline

__all__ = ["Baseline"]
