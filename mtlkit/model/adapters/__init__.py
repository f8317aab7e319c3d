"""Adapters: each module registers one. None imports torch."""
