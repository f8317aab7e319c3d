"""Gradients and conflicts, measured while training."""
