"""`--refit`: chooses an epoch on held-out rows, then trains again from the same start on all rows."""
