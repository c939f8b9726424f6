"""What W&B is told of a run, and the dashboards made of it."""
