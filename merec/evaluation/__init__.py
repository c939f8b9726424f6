"""Splits into folds, scores of predictions, and their confidence intervals."""
