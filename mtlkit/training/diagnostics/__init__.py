"""Measures gradients, and conflicts between tasks, during training."""
