"""GitLab's package registry."""
