"""Solves linear heads on cached vectors by L-BFGS, instead of training them step by step."""
