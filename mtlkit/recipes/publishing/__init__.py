"""`export --push`: sends a verified export to the Hugging Face hub."""
