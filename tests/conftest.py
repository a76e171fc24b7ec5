"""Markers by folder: a test's place says what it needs."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import hypothesis
import pytest

HERE = Path(__file__).parent

# A background job of a shell starts with SIGINT ignored, and so would every program that a test starts and stops.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says how busy the machine is, not whether the code is right.
hypothesis.settings.register_profile("wheelyard", deadline=None)
hypothesis.settings.load_profile("wheelyard")

# Tables fold where they are too wide: most tests look at what a cell says, and at no fold in it.
os.environ["COLUMNS"] = "300"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(HERE).parts[0]
        if folder in {"integration", "e2e"}:
            item.add_marker(getattr(pytest.mark, folder))
