"""What `info` says of files and parents."""
