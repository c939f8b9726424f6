"""Who is held out, how predictions are scored, and how sure one may be of the score."""
