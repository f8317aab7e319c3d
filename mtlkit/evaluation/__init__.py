"""Metrics, intervals, what tasks forgot and what they gained from each other."""
