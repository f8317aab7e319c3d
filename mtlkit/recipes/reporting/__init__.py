"""Puts the content of a report together."""
