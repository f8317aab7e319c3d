"""Selects the parameters that train at each step, and caches the outputs of frozen layers."""
