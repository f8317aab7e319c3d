"""The parts of the encoder: attention, blocks, norms, products, positions, pooling, and low-rank additions to them."""
