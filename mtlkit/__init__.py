"""mtlkit: from raw text to a small sentence encoder with several task heads."""

__version__ = "0.1.0"
