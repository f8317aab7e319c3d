"""Training objectives for tasks and vectors."""
