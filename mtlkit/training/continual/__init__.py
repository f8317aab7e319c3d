"""Limits forgetting: guards, forgetting limits and comparison with the starting model."""
