"""Which points and regions decided a prediction, and whether the skin truly moves there."""
