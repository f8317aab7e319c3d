"""What a task or a vector is trained for."""
