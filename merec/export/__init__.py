"""Export of features and networks to the formats of other software."""
