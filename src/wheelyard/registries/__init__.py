"""Registry: where wheels are published to. The port, what is decided on top of it, and its adapters."""

from __future__ import annotations

from wheelyard.registries.directory import DirectoryRegistry
from wheelyard.registries.gitlab.credentials import Credential, find_credential, no_credential
from wheelyard.registries.gitlab.gitlab_registry import GitLabRegistry
from wheelyard.registries.journal import Journal
from wheelyard.registries.registry import Registry, RegistryFile
from wheelyard.registries.upload_plan import Action, Upload, plan_uploads, uploads_table
from wheelyard.registries.uploader import Outcome, publish
from wheelyard.registries.wheel_file import Release, read_release

__all__ = [
    "Action",
    "Credential",
    "DirectoryRegistry",
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
