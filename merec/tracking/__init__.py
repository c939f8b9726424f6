"""W&B: logging of runs, and dashboards of logged runs."""
