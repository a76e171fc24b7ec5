"""Benchmarks: honest ratios, not tests."""
