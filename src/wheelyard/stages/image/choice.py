"""The nouns: what kind of image is wanted, and the image that a build then uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

from wheelyard.core.errors import ConfigError

Kind = Literal["auto", "official", "local"]
DEFAULT_SUITE = "trixie"
_SYNTAX = "auto, official, local, local:<suite>, each local one with +emulated or +<extra>"


@dataclass(frozen=True)
class ImageChoice:
    """Which image is wanted.

    Attributes:
        kind: ``official`` (the PyPA's, by digest), ``local`` (made here), or ``auto``: official where its
            registry answers, else local.
        suite: the Debian suite of a local image.
        emulated_compiler: leave the compiler in a local image emulated, as everything else is.
        extras: what a local image carries beyond its base, sorted.
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
        interpreters: the CPythons it has, such as ``("cp313",)``.
        policy: the platform it builds for, such as ``manylinux_2_39_riscv64``.
        glibc: its C library's version.
        gcc: its compiler's version; of a local image that is not made yet the major version, empty where unknown.
        suite: the Debian suite of a local image, empty otherwise.
        public: whether its wheels may go to a public registry; those of a local image may not.
        definition: digest of what a local image is made by, empty otherwise.
        choice: what was asked for, with ``auto`` decided.
    """

    kind: Literal["official", "local"]
    reference: str
    digest: str
    interpreters: tuple[str, ...]
    policy: str
    glibc: str
    gcc: str
    suite: str
    public: bool
    definition: str
    choice: ImageChoice
