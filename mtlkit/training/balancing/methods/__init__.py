"""Balancing methods: each module registers those that it defines. None imports torch."""
