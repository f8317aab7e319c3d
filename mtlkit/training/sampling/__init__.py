"""Selects the task and the rows of each step."""
