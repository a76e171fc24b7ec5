"""Source: the one tree a version is built from, verified, unpacked and patched."""

from __future__ import annotations

from wheelyard.stages.source.git import Pin, pin
from wheelyard.stages.source.patches import Attempt, attempt, for_version
from wheelyard.stages.source.prepare import Origin, identity, obtain, prepare, settle

__all__ = ["Attempt", "Origin", "Pin", "attempt", "for_version", "identity", "obtain", "pin", "prepare", "settle"]
