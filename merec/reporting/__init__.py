"""Predictions as tables, figures and one HTML page; whatever is printed can be computed again from them."""
