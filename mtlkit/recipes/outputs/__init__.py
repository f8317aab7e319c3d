"""What `embed` and `predict` have in common: outputs with a row for each text, in one file or in parts, which can be resumed."""
