"""Questions that a report answers, a file each: what is computed, its table, its figure."""
