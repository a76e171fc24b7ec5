"""The reports of the registry verbs: closed, frozen and versioned."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from wheelyard.core.model import Model


class PublishedFile(Model):
    """One wheel of a publication; ``error`` is the reason if it is not published."""

    file: str
    sha256: str
    size: int
    action: Literal["upload", "skip", "refuse"]
    error: str | None = None


class PublicationReport(Model):
    """``publish --json``: what was, or would be, published."""

    schema_: Literal["wheelyard/publication"] = Field("wheelyard/publication", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    registry: str
    title: str
    dry_run: bool
    files: tuple[PublishedFile, ...]
    held_back: tuple[str, ...]


class ListedFile(Model):
    """One file that a registry has.

    Attributes:
        file: its name.
        version: the package's version, empty if the name has none.
        interpreters: the Python and ABI tags of a wheel, as ``python-abi``.
        sha256: its hash, None where the registry has none.
        size: bytes, None where it is unknown.
        yanked: the reason, None if it is not.
    """

    file: str
    version: str
    interpreters: tuple[str, ...]
    sha256: str | None
    size: int | None
    yanked: str | None


class RegistryListing(Model):
    """``registry list --json``: the files of each package."""

    schema_: Literal["wheelyard/registry-listing"] = Field("wheelyard/registry-listing", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    registry: str
    packages: dict[str, tuple[ListedFile, ...]]


class FoundProblem(Model):
    """One thing that is wrong, and what to do."""

    kind: Literal["differs", "damaged", "missing", "unrecorded", "no-hash", "double", "orphan", "unreadable"]
    package: str
    file: str
    text: str
    fix: str


class RegistryVerification(Model):
    """``registry verify --json``: what was compared, and what is wrong."""

    schema_: Literal["wheelyard/registry-verification"] = Field("wheelyard/registry-verification", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    registry: str
    packages: int
    files: int
    downloaded: bool
    problems: tuple[FoundProblem, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems
