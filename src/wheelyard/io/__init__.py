"""The outside world: programs, HTTP, files, the log. One module for each."""
