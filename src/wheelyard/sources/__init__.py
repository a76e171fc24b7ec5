"""Source: the one tree a version is built from, verified, unpacked and patched."""

from __future__ import annotations

from wheelyard.sources.git import Pin, pin
from wheelyard.sources.patches import Attempt, attempt, for_version
from wheelyard.sources.prepare import Origin, identity, obtain, prepare, settle

__all__ = ["Attempt", "Origin", "Pin", "attempt", "for_version", "identity", "obtain", "pin", "prepare", "settle"]
