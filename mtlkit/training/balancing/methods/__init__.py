"""Balancing methods: each module adds those that it defines to the registry. None imports torch."""
