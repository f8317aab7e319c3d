"""Formats of `export`, and the check of what was written."""
