"""What the tool writes: locks, verdicts and build records."""
