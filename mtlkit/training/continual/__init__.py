"""Limits and measures forgetting: guards, `--max-forgetting`, comparison with the starting model."""
