"""Tells texts that fit none of a head's classes. Imports no torch."""
