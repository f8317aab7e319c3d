"""Weights the losses and gradients of tasks."""
