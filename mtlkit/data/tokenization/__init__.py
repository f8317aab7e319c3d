"""Tokenizers: training, loading, checking."""
