"""The checks of `check-data`, by type of data."""
