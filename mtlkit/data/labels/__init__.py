"""Labels: how they are read, which kind they are, and how they are encoded."""
