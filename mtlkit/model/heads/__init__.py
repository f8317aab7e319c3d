"""Heads by kind, and what they need: losses, decoding of tags, inputs for pairs, the router."""
