"""What `eval` measures besides heads: perplexity, similarity, probes."""
