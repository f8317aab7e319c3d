"""Findings about data: leaks, duplicates, contradictions, skewed or dirty labels."""
