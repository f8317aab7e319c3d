"""Options become one plan, checked before any data is read."""
