"""What is written after --task: the source, its keys, and the names of tasks."""
