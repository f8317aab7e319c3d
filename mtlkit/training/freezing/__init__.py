"""Which parameters train, when, and what is cached of frozen layers."""
