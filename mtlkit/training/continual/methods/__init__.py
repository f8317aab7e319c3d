"""Guards against forgetting: each module registers one. None imports torch."""
