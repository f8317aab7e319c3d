"""What `embed` keeps of a finished output."""
