"""The nouns that stages hand to each other: frozen values, one per noun of the pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from wheelyard.core.tags import Interpreter


class ImageKind(Enum):
    """Which image to build in."""

    AUTO = "auto"
    OFFICIAL = "official"
    LOCAL = "local"


@dataclass(frozen=True)
class ImageChoice:
    """What the user or site policy asks for.

    Attributes:
        kind: official, local, or official where its registry answers and local elsewhere.
        suite: Debian's suite of a local image.
        emulated_compiler: leave the riscv64-hosted compiler in a local image, for comparison; slow.
        extras: what a recipe needs beyond the base of a local image, such as ``rust``.
    """

    kind: ImageKind = ImageKind.AUTO
    suite: str = "trixie"
    emulated_compiler: bool = False
    extras: tuple[str, ...] = ()


@dataclass(frozen=True)
class Image:
    """A build image.

    Attributes:
        kind: official or local, never auto.
        reference: what the container engine calls it.
        digest: ``sha256:…`` of the image as the engine has it, empty while it is not here yet.
        definition: the digest of what makes a local image; of an official one, its pinned digest.
        interpreters: the CPythons it has.
        suite, gcc, glibc: what it is made of, where known.
    """

    kind: Literal[ImageKind.OFFICIAL, ImageKind.LOCAL]
    reference: str
    digest: str
    definition: str
    interpreters: tuple[Interpreter, ...]
    suite: str = ""
    gcc: str = ""
    glibc: str = ""


@dataclass(frozen=True)
class ExpectedWheel:
    """A wheel that a build must yield.

    Attributes:
        name: the distribution's canonical name.
        version: its version.
        python: the Python tag, such as ``cp313`` or ``py3``.
        abi: the ABI tag, such as ``cp313``, ``abi3``, ``cp314t`` or ``none``.
        interpreters: those that install this wheel; the first one builds it.
    """

    name: str
    version: str
    python: str
    abi: str
    interpreters: tuple[Interpreter, ...]

    @property
    def pattern(self) -> str:
        """The file name for people, the glibc floor left open: auditwheel decides it."""
        return f"{self.name.replace('-', '_')}-{self.version}-{self.python}-{self.abi}-manylinux_*_riscv64.whl"


@dataclass(frozen=True)
class Job:
    """One cibuildwheel run: one package, one version, some interpreters, one image."""

    package: str
    version: str
    interpreters: tuple[Interpreter, ...]
    expected: tuple[ExpectedWheel, ...]


@dataclass(frozen=True)
class AppliedPatch:
    """A patch that was applied to a source."""

    file: str
    sha256: str
    status: str


@dataclass(frozen=True)
class SourceTree:
    """A source, verified, unpacked and patched.

    Attributes:
        kind: where it came from.
        folder: the tree, holding ``pyproject.toml`` or ``setup.py``.
        name: the sdist's file name, or the repository or folder it was taken from.
        sha256: of the sdist, or of the tree's content for git and local folders.
        commit: the git commit, empty for others.
        patches: what was applied, in order.
        epoch: seconds since 1970 for ``SOURCE_DATE_EPOCH``: the newest time stamp in the source.
    """

    kind: Literal["sdist", "git", "path"]
    folder: Path
    name: str
    sha256: str
    commit: str
    patches: tuple[AppliedPatch, ...]
    epoch: int
