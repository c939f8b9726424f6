"""How folds are trained: several at once in processes of their own, or as one stacked network."""
