"""Folders of models that run through transformers."""
