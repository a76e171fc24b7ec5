"""The values of the pipeline: frozen, one class per noun."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from wheelyard.core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from wheelyard.core.tags import Interpreter


Kind = Literal["auto", "official", "local"]
DEFAULT_SUITE = "trixie"
_SYNTAX = "auto, official, local, local:<suite>, each local one with +emulated or +<extra>"


@dataclass(frozen=True)
class ImageChoice:
    """The choice of a build image.

    Attributes:
        kind: ``official`` (the PyPA's, by digest), ``local`` (made here), or ``auto``: official where its
            registry answers, else local.
        suite: the Debian suite of a local image.
        emulated_compiler: leave the compiler in a local image emulated, as everything else is.
        extras: additions to a local image, sorted.
    """

    kind: Kind = "auto"
    suite: str = DEFAULT_SUITE
    emulated_compiler: bool = False
    extras: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a choice as people write it: ``auto``, ``official``, ``local:forky``, ``local:trixie+emulated+rust``.

        Raises:
            ConfigError: *text* is none of these.
        """
        head, *words = text.strip().split("+")
        kind, colon, suite = head.partition(":")
        if kind not in {"auto", "official", "local"} or (colon and (kind != "local" or not suite)):
            raise ConfigError(f"{text!r} is not an image", fix=f"one of {_SYNTAX}")
        if words and kind == "official":
            raise ConfigError(f"{text!r}: the official image has no variants", fix=f"one of {_SYNTAX}")
        extras = tuple(sorted({word for word in words if word != "emulated"}))
        return cls(kind, suite or DEFAULT_SUITE, "emulated" in words, extras)  # type: ignore[arg-type] # checked above

    def __str__(self) -> str:
        if self.kind != "local":
            return self.kind
        return "+".join([f"local:{self.suite}", *(["emulated"] if self.emulated_compiler else []), *self.extras])

    def with_extras(self, extras: tuple[str, ...]) -> ImageChoice:
        """Return the same choice with these extras as well."""
        return ImageChoice(self.kind, self.suite, self.emulated_compiler, tuple(sorted({*self.extras, *extras})))


@dataclass(frozen=True)
class Image:
    """An image that builds run in.

    Attributes:
        kind: ``official`` or ``local``.
        reference: its name for ``podman run`` and cibuildwheel.
        digest: ``sha256:…`` of its manifest; empty for a local image that is not made yet.
        interpreters: the CPythons it has.
        policy: the platform it builds for, such as ``manylinux_2_39_riscv64``.
        glibc: its C library's version.
        gcc: its compiler's version; of a local image that is not made yet the major version, empty where unknown.
        suite: the Debian suite of a local image, empty otherwise.
        public: whether its wheels may go to a public registry; those of a local image may not.
        definition: digest of the definition of a local image, empty otherwise.
        choice: the choice that it comes from, with ``auto`` decided.
    """

    kind: Literal["official", "local"]
    reference: str
    digest: str
    interpreters: tuple[Interpreter, ...]
    policy: str
    glibc: str
    gcc: str
    suite: str
    public: bool
    definition: str
    choice: ImageChoice


@dataclass(frozen=True)
class ExpectedWheel:
    """A wheel that a build must yield.

    Attributes:
        name: the distribution's canonical name.
        version: its version.
        python: the Python tag, such as ``cp313`` or ``py3``.
        abi: the ABI tag, such as ``cp313``, ``abi3``, ``cp314t`` or ``none``.
        interpreters: the interpreters that install it; the first one builds it.
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
        kind: where it came from, such as ``sdist``, ``git`` or ``path``.
        folder: the tree, holding ``pyproject.toml`` or ``setup.py``.
        name: the sdist's file name, or the repository or folder it was taken from.
        sha256: of the sdist, or of the tree's content for git and local folders.
        commit: the git commit, empty for others.
        patches: the applied patches, in order.
        epoch: seconds since 1970 for ``SOURCE_DATE_EPOCH``: the newest time stamp in the source.
    """

    kind: str
    folder: Path
    name: str
    sha256: str
    commit: str
    patches: tuple[AppliedPatch, ...]
    epoch: int
