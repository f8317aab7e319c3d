"""The measurements of `eval`: heads, perplexity, sentence similarity, probes."""
