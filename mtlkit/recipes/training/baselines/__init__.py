"""Comparison of a run with training each task alone."""
