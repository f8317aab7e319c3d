"""Leaks, duplicates, classes: findings in data."""
