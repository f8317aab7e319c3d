"""The models of these tests."""

from model_runs import exported, odd_data, odd_run, peer, sources  # noqa: F401  fixtures
