"""Source: the one tree a version is built from, verified, unpacked and patched."""

from __future__ import annotations

from wheelyard.stages.source.git import Pin, pin
from wheelyard.stages.source.patches import for_version
from wheelyard.stages.source.prepare import identity, prepare

__all__ = ["Pin", "for_version", "identity", "pin", "prepare"]
