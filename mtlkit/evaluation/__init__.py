"""Metrics, confidence intervals, forgetting, and multi-task vs. single-task comparison."""
