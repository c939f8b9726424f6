"""W&B: what a run sends to it, and the dashboards made of it."""
