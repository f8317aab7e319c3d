"""What options, sources and models name: the registries, each with the parser of its names. None imports torch."""
