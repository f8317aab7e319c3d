"""The inputs that commands share: models, sources, texts."""
