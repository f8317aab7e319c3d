"""Freeze targets: each module adds what it defines to the registry. None imports torch."""
