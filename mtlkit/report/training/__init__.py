"""What a training reports: its events in words, lines and tables."""
