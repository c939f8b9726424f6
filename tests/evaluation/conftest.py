"""Fake corpora, predictions and run folders, small enough to score by hand."""

from fake_predictions import classes, make_index, megc2019, predict, reckon_interval, write_run

__all__ = ["classes", "make_index", "megc2019", "predict", "reckon_interval", "write_run"]
