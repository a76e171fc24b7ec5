"""What the tool writes down: closed, frozen, versioned.

Every JSON file carries ``schema`` (its kind) and ``version`` (of that kind's layout); a reader refuses what it
does not know.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from wheelyard.core.model import Model

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
# Records come from other machines, too: what becomes a program's word, a folder's name or an address has this form.
Word = Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9.+~:^_-]*)?$", max_length=200)]


class LockedVersion(Model):
    """What one version is pinned to.

    Attributes:
        version: the version (PEP 440).
        file: the sdist's file name, for sources from the index.
        size: its size in bytes.
        sha256: its hash; for git sources, absent.
        commit: the commit that the tag named when it was locked, for git sources.
        tag: that tag.
        requires_python: upstream's Requires-Python, empty if there is none.
        wheels: upstream's own wheels for the reference architectures, as ``python-abi`` tag pairs, sorted: what
            the expected wheels are derived from.
        reference: the architecture they were read from (``aarch64``, ``x86_64``), empty if upstream ships none.
        ships: the tag pairs for which upstream itself publishes riscv64 wheels.
    """

    version: str
    file: str | None = None
    size: int | None = None
    sha256: Sha256 | None = None
    commit: Commit | None = None
    tag: str | None = None
    requires_python: str = ""
    wheels: tuple[str, ...] = ()
    reference: str = ""
    ships: tuple[str, ...] = ()


class Lock(Model):
    """``packages/<pkg>/lock.toml``: the versions that are pinned, newest first.

    Attributes:
        retired: the version from which on upstream ships riscv64 wheels, so that none is built here; empty if it
            does not.
    """

    schema_: Literal["wheelyard/lock"] = Field("wheelyard/lock", alias="schema")
    layout: Literal[1] = 1
    retired: str = ""
    versions: tuple[LockedVersion, ...] = Field((), alias="version")


class Finding(Model):
    """One thing that was checked.

    Attributes:
        rule: the rule's name, such as ``record-hashes``.
        ok: whether the wheel obeys it.
        text: what was seen; for a failure also what to do.
    """

    rule: str
    ok: bool
    text: str


class WheelVerdict(Model):
    """What was found in one wheel."""

    wheel: str
    sha256: Sha256
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether every rule is obeyed."""
        return all(finding.ok for finding in self.findings)


class Verdict(Model):
    """``verdict.json``: whether the wheels of one version may go on."""

    schema_: Literal["wheelyard/verdict"] = Field("wheelyard/verdict", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    package: str
    package_version: str
    wheels: tuple[WheelVerdict, ...]
    overall: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether everything passes."""
        return all(wheel.ok for wheel in self.wheels) and all(finding.ok for finding in self.overall)


class ImageRecord(Model):
    """The image a wheel was built in; ``kind`` local means: honest, but not the PyPA toolchain."""

    kind: Literal["official", "local"]
    reference: str = Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9.:/@_+-]*)?$", max_length=300)
    digest: Word
    suite: Word = ""
    gcc: str = ""
    glibc: str = ""


class TestRecord(Model):
    """Which tests ran."""

    __test__ = False

    ran: bool
    command: str = ""
    summary: str = ""
    subset: str = ""


class SourceRecord(Model):
    """What the wheel was built from."""

    kind: Word
    name: str
    sha256: Sha256
    commit: str = ""


class PatchRecord(Model):
    """A patch that was applied."""

    file: str
    sha256: Sha256
    status: str


class GraftRecord(Model):
    """A library that was copied from the build image into the wheel.

    Attributes:
        file: its path in the wheel.
        name: its file name in the image.
        package: the image's binary package that it is from, empty where that is not known.
        package_version: that package's version, as the distribution writes it.
        source: the source package that was made from, empty where that is not known.
        source_version: its version; of an RPM with the release, such as ``14.2.1-7.el10``.
        kind: how the distribution packages: ``debian`` or ``rpm``, empty where that is not known.
        licence: as the package states it.
        copyleft: whether its source has to be offered; what is not known for certain has to.
    """

    file: str
    name: str
    package: Word = ""
    package_version: Word = ""
    source: Word = ""
    source_version: Word = ""
    kind: Literal["", "debian", "rpm"] = ""
    licence: str = ""
    copyleft: bool = True


class WheelRecord(Model):
    """``<wheel>.json``: how one wheel came to be.

    Attributes:
        fingerprint: the digest of all inputs of the wheel; a wheel of the same fingerprint is not built again.
        durations: seconds per step.
        machine: the architecture that it was built on; another than riscv64 emulates it, and takes longer. Empty in
            records older than this key.
        grafts: the libraries that were copied into it; None in records older than this key.
    """

    schema_: Literal["wheelyard/wheel"] = Field("wheelyard/wheel", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    package: str
    package_version: str
    wheel: str
    sha256: Sha256
    size: int
    interpreters: tuple[str, ...]
    fingerprint: Sha256
    source: SourceRecord
    recipe: Sha256
    patches: tuple[PatchRecord, ...] = ()
    image: ImageRecord
    tools: dict[str, str]
    durations: dict[str, float]
    tests: TestRecord
    verdict: Literal["passed", "failed"]
    built_at: str
    machine: str = ""
    grafts: tuple[GraftRecord, ...] | None = None
