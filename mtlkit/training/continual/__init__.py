"""Keeping what a model knew: guards, limits, the model at the start."""
