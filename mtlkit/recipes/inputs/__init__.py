"""What commands share about what they read: models, sources, texts."""
