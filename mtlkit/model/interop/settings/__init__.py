"""Configuration files of Hugging Face folders: what each key means, and which are refused."""
