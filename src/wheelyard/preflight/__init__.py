"""Preflight: check before a build whether it would succeed, from values and files."""
