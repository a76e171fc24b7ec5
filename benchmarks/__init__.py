"""Benchmarks: honest ratios, not tests."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # some talk to the servers of the tests
