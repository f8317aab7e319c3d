"""What `check-data` checks: texts, pairs, measures of both."""
