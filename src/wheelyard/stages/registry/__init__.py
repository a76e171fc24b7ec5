"""Registry: where wheels are published to. The port, what is decided on top of it, and its adapters."""

from __future__ import annotations

from wheelyard.stages.registry.folder import FolderRegistry
from wheelyard.stages.registry.plan import Action, Upload, plan_uploads, publish, uploads_table
from wheelyard.stages.registry.port import Registry, RegistryFile
from wheelyard.stages.registry.release import Release, read_release

__all__ = [
    "Action",
    "FolderRegistry",
    "Registry",
    "RegistryFile",
    "Release",
    "Upload",
    "plan_uploads",
    "publish",
    "read_release",
    "uploads_table",
]
