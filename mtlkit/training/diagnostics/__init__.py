"""Measures gradients and conflicts during training."""
