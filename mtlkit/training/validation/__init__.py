"""Validation during a training, and what is fitted at its end on rows that it left out."""
