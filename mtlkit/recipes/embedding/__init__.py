"""Finished outputs of `embed`."""
