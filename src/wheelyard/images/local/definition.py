"""The definition of a local image: the shipped definition and locks, and the digest that names the image."""

from __future__ import annotations

import difflib
import functools
import platform
import re
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from wheelyard.core.digests import sha256_bytes, sha256_value
from wheelyard.core.errors import ConfigError
from wheelyard.core.tags import Interpreter
from wheelyard.core.values import Image, ImageChoice
from wheelyard.images.local import lock
from wheelyard.io.engine import TARGET_ARCH

if TYPE_CHECKING:
    from collections.abc import Mapping

# Raised whenever this package makes another image of the same definition.
FORMAT = 2
TRIPLE = f"{TARGET_ARCH}-linux-gnu"
# Machines whose Debian architecture has a compiler for riscv64, and whose programs their own kernel runs at full
# speed inside a riscv64 container.
_HOSTS = {"x86_64": "amd64"}
_PYTHON = (("python", "minimal"), ("libpython", "stdlib"))  # what an interpreter needs to compile modules
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Pin:
    """One locked Python package: name, version, and the sha256 of each file it may be."""

    name: str
    version: str
    hashes: frozenset[str]


@dataclass(frozen=True)
class Definition:
    """Everything that decides what is in a local image.

    Attributes:
        choice: what was asked for.
        policy: the platform the image builds for.
        interpreters: its CPythons.
        glibc: version of its C library.
        gcc: major version of its compiler.
        host: Debian architecture of the compiler that runs unemulated; empty when the compiler is emulated too.
        packages: Debian packages of the base.
        extras: Debian packages of the extras.
        hosted: Debian packages, for *host*, of the unemulated compiler.
        python: Debian packages, for *host*, of the same interpreters: they write the bytecode.
        exclude: patterns of paths to leave out.
        links: symbolic links to make, target by path.
        interpreter_wheels: Python packages that each interpreter gets.
        commands: programs of the other Python packages that go on PATH.
        requirements: the lock of the Python packages, as pip reads it.
        locked: the Debian packages; None where apt resolves them when the image is made.
        digest: sha256 over all of this.
    """

    choice: ImageChoice
    policy: str
    interpreters: tuple[Interpreter, ...]
    glibc: str
    gcc: str
    host: str
    packages: tuple[str, ...]
    extras: tuple[str, ...]
    hosted: tuple[str, ...]
    python: tuple[str, ...]
    exclude: tuple[str, ...]
    links: dict[str, str]
    interpreter_wheels: tuple[str, ...]
    commands: tuple[str, ...]
    requirements: str
    locked: lock.Packages | None
    digest: str

    @property
    def reference(self) -> str:
        """The image's name."""
        return f"localhost/wheelyard/{self.policy}:{self.choice.suite}-{self.digest[:12]}"

    def pins(self) -> tuple[Pin, ...]:
        """Return the locked Python packages."""
        paths = []
        for block in self.requirements.replace("\\\n", " ").splitlines():
            match = _PIN.match(block)
            if match:
                paths.append(Pin(match[1], match[2], frozenset(_HASH.findall(block))))
        return tuple(paths)

    def image(self, digest: str = "", gcc: str = "") -> Image:
        """Return the image of this definition; without a digest it is not made yet."""
        return Image(
            kind="local",
            reference=self.reference,
            digest=digest,
            interpreters=self.interpreters,
            policy=self.policy,
            glibc=self.glibc,
            gcc=gcc or self.gcc,
            suite=self.choice.suite,
            public=False,
            definition=self.digest,
            choice=self.choice,
        )


@functools.cache
def _shipped() -> tuple[dict[str, Any], str]:
    folder = resources.files("wheelyard.images").joinpath("definitions")
    return tomllib.loads(folder.joinpath("images.toml").read_text()), folder.joinpath("requirements.txt").read_text()


@functools.cache
def shipped_lock(suite: str) -> lock.Lock | None:
    """Return the lock of a suite's packages, None if it has none.

    Raises:
        ImageError: it is damaged.
    """
    file = resources.files("wheelyard.images").joinpath("definitions", f"{suite}.lock")
    return lock.parse(file.read_text(encoding="utf-8"), file.name) if file.is_file() else None


def groups(images: Mapping[str, Any], suite: str) -> dict[str, lock.Group]:
    """Return the Debian packages that the images of a suite are made from, as *images* (``images.toml``) names them."""
    base, own, extra = images["base"], images["suite"][suite], images["extra"]
    gcc, versions = own["gcc"], [Interpreter.parse(name).version for name in own["interpreters"]]
    result = {"base": lock.Group(TARGET_ARCH, (*base["packages"], *own["packages"]))}
    for name, table in extra.items():
        result[f"extra {name}"] = lock.Group(TARGET_ARCH, tuple(table["packages"]), "base")
    for host in _HOSTS.values():
        compiler = (f"gcc-{gcc}-{TRIPLE}", f"g++-{gcc}-{TRIPLE}", f"binutils-{TRIPLE}")
        result[f"hosted {host}"] = lock.Group(host, compiler)
        for name, table in extra.items():
            if hosted := tuple(f"{program}-{gcc}-{TRIPLE}" for program in table.get("hosted", ())):
                result[f"hosted {host} {name}"] = lock.Group(host, hosted, f"hosted {host}")
        parts = [f"{kind}{version}-{part}" for version in versions for kind, part in _PYTHON]
        result[f"python {host}"] = lock.Group(host, tuple(parts))
    return result


def suites() -> tuple[str, ...]:
    """Return the Debian suites that local images are made from."""
    return tuple(_shipped()[0]["suite"])


def extras() -> tuple[str, ...]:
    """Return the possible additions to a local image."""
    return tuple(_shipped()[0]["extra"])


def _known(kind: str, name: str, names: tuple[str, ...]) -> None:
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        raise ConfigError(
            f"no local image has the {kind} {name!r}" + (f"; perhaps you meant {near[0]!r}" if near else ""),
            fix=f"one of {', '.join(names)}",
        )


@functools.cache
def load(choice: ImageChoice, policy: str) -> Definition:
    """Return the definition of the local image of *choice*.

    Raises:
        ConfigError: no such suite or extra.
    """
    shipped, requirements = _shipped()
    _known("suite", choice.suite, suites())
    for name in choice.extras:
        _known("extra", name, extras())
    base, suite = shipped["base"], shipped["suite"][choice.suite]
    host = "" if choice.emulated_compiler else _HOSTS.get(platform.machine(), "")
    requested = groups(shipped, choice.suite)

    def named(*keys: str) -> tuple[str, ...]:
        return tuple(name for key in keys if key in requested for name in requested[key].names)

    content: dict[str, Any] = {
        "policy": policy,
        "glibc": suite["glibc"],
        "gcc": suite["gcc"],
        "host": host,
        "packages": named("base"),
        "extras": named(*(f"extra {name}" for name in choice.extras)),
        "hosted": named(f"hosted {host}", *(f"hosted {host} {name}" for name in choice.extras)),
        "exclude": tuple(base["exclude"]),
        "links": base["links"] | suite.get("links", {}),
        "interpreter_wheels": tuple(base["interpreter-wheels"]),
        "commands": tuple(base["commands"]),
    }
    current_lock = shipped_lock(choice.suite)
    locked = current_lock.packages(choice.extras, host) if current_lock and current_lock.fits(requested) else None
    digest = sha256_value(
        content
        | {
            "format": FORMAT,
            "suite": choice.suite,
            "interpreters": suite["interpreters"],
            "requirements": sha256_bytes(requirements.encode()),
        }
        | ({"locked": locked.digest} if locked else {})
    )
    return Definition(
        choice=choice,
        interpreters=tuple(Interpreter.parse(name) for name in suite["interpreters"]),
        python=named(f"python {host}"),
        requirements=requirements,
        locked=locked,
        digest=digest,
        **content,
    )
