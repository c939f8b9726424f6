"""Engines: train folds one by one, in worker processes, interleaved, or as one stacked network."""
