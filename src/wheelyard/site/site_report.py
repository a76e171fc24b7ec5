"""``packages.json``: the content of the pages for machines; made from records and recipes only."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from wheelyard.core.model import Model
from wheelyard.records.models import Sha256


class SiteFile(Model):
    """A published wheel.

    Attributes:
        file: its name.
        where: the registry's name in the site configuration.
        sha256: its hash.
        size: bytes.
        interpreters: those of the site's that can install it.
        patched: whether its source was patched here.
        source: the source that it was built from: ``sha256:…`` of the sdist or tree; empty where not recorded.
        image: the digest of the image that it was built in; empty where not recorded.
        yanked: why it is yanked, null if it is not.
    """

    file: str
    where: str
    sha256: Sha256
    size: int
    interpreters: tuple[str, ...]
    patched: bool
    source: str
    image: str
    yanked: str | None = None


class SitePatch(Model):
    """A patch, as the recipe has it: its file, why it is needed, and its status upstream."""

    file: str
    why: str
    status: str


class SiteVersion(Model):
    """A version that is published here.

    Attributes:
        version: the version (PEP 440).
        licence: the licences in the metadata of its wheels.
        patched: whether any of its wheels was built from a patched source.
        patches: those that the recipe has for this version, where it is patched.
        first_published: the first day on which a wheel of it was in a registry, null without a line in its history.
        first_upstream: the first day on which upstream had a riscv64 wheel of it.
        files: its wheels.
    """

    version: str
    licence: str
    patched: bool
    patches: tuple[SitePatch, ...]
    first_published: date | None
    first_upstream: date | None
    files: tuple[SiteFile, ...]


class SiteSource(Model):
    """A file of a source package of a copyleft library in wheels here (:mod:`wheelyard.records.copyleft_sources`)."""

    name: str
    version: str
    file: str
    sha256: Sha256
    url: str


class SitePackage(Model):
    """A package.

    Attributes:
        package: its name, which is its page's.
        pinned: the newest version that is locked, empty if none is.
        retired: the version from which on upstream ships riscv64 wheels; empty if it does not.
        note: the recipe's note to readers.
        updated: the newest day in its history.
        record: the address of its record of releases; empty if the site configuration names no repository.
        sources: source packages of the copyleft libraries in its wheels.
        versions: the newest first.
    """

    package: str
    pinned: str
    retired: str
    note: str
    updated: date | None
    record: str
    sources: tuple[SiteSource, ...] = ()
    versions: tuple[SiteVersion, ...]


class Site(Model):
    """The whole file.

    Attributes:
        updated: the newest day in any history.
        interpreters: the site set.
        index: the address that installers are given; empty if there is none.
        packages: all of them, by name.
    """

    schema_: Literal["wheelyard/packages"] = Field("wheelyard/packages", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    updated: date | None
    interpreters: tuple[str, ...]
    index: str
    packages: tuple[SitePackage, ...]


class SiteReport(Model):
    """The result of ``wheelyard site``.

    Attributes:
        folder: where the pages are.
        files: the published wheels on them.
        packages: the packages on them.
        changed: the pages that were written or removed.
    """

    folder: str
    files: int
    packages: int
    changed: int
