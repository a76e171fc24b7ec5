"""Registry: where wheels are published to. The port, what is decided on top of it, and its adapters."""

from __future__ import annotations

from wheelyard.stages.registry.credentials import Credential, find_credential, no_credential
from wheelyard.stages.registry.folder import FolderRegistry
from wheelyard.stages.registry.gitlab import GitLabRegistry
from wheelyard.stages.registry.journal import Journal
from wheelyard.stages.registry.plan import Action, Upload, plan_uploads, uploads_table
from wheelyard.stages.registry.port import Registry, RegistryFile
from wheelyard.stages.registry.publish import Outcome, publish
from wheelyard.stages.registry.release import Release, read_release

__all__ = [
    "Action",
    "Credential",
    "FolderRegistry",
    "GitLabRegistry",
    "Journal",
    "Outcome",
    "Registry",
    "RegistryFile",
    "Release",
    "Upload",
    "find_credential",
    "no_credential",
    "plan_uploads",
    "publish",
    "read_release",
    "uploads_table",
]
