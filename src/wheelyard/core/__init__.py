"""Names, versions, tags, digests and errors: pure values, no input or output."""
