"""Rows as labelled tasks, pairs and texts."""
