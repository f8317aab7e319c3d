"""Which rows form a step, of which task."""
