"""Training in several processes, such as one per GPU: they compute the micro-batches of each step together."""
