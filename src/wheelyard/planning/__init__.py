"""Planning: from recipe and version to source, interpreters, expected wheels and fingerprints."""
