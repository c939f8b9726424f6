"""Predictions as tables, figures and one HTML page, all of it recomputable from the predictions."""
