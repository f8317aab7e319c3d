"""The formats of `export`, and the comparison of an export with its model."""
