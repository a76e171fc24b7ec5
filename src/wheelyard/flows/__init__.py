"""Verbs: each a pipeline of stages."""
