"""What a recipe may say. Docstrings and field descriptions are the reference page, ``docs/reference/recipe.md``.

All models are closed (an unknown key is an error) and frozen. The empty file is a valid recipe.
"""

from __future__ import annotations

import functools
import re
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

from packaging.specifiers import SpecifierSet
from pydantic import Field, SerializeAsAny, StrictBool, WrapValidator, field_validator

from wheelyard.project.model import InterpreterTag, Model, PackageName, RecipePath, RunnerLabel, Seconds, Specifier
from wheelyard.project.plugins import plugins
from wheelyard.project.source_table import GROUP, SOURCES, SourceTable, source_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from packaging.version import Version


if TYPE_CHECKING:
    Source = SourceTable
else:
    Source = source_model("Source", SOURCES)

_KEYS = frozenset(field.alias for field in Source.model_fields.values())


@functools.cache
def _with_plugins() -> type[SourceTable]:
    kinds = plugins(GROUP)
    return source_model("SourceWithPlugins", (*SOURCES, *kinds)) if kinds else Source


def kinds_in(keys: Iterable[str]) -> list[str]:
    """Return those of the keys of a table that choose a kind."""
    return [key for key in keys if key in SOURCES or (key not in _KEYS and key in plugins(GROUP))]


def _by_kinds(value: object, built_in: Callable[[object], SourceTable]) -> SourceTable:
    """Validate a table; plug-ins are looked for only if it has a key that no kind of ours has."""
    if isinstance(value, dict) and not value.keys() <= _KEYS:
        return _with_plugins().model_validate(value)
    return built_in(value)


class Sdist(Model):
    """How an sdist is made, for sources from which only upstream's own tool can make one."""

    run: RecipePath | None = Field(
        None,
        description="A script in the recipe's folder, run with bash in the source tree with $SRC, $VERSION and $OUT; "
        "it leaves exactly one sdist in $OUT. It may run on any architecture.",
    )
    timeout: Seconds = Field(1800, description="How long it may take.")


class Frontend(Enum):
    """What builds the wheel inside the container."""

    BUILD = "build"
    BUILD_UV = "build[uv]"
    PIP = "pip"
    UV = "uv"


class Build(Model):
    """How the wheel is built."""

    uses: tuple[str, ...] = Field(
        (), description="Fragments to inherit from: `recipes/_shared/<name>.toml`, in this order."
    )
    needs: tuple[PackageName, ...] = Field(
        (),
        description="Packages of ours that the build takes from the index folder, because no other riscv64 wheel "
        "exists.",
    )
    extras: tuple[str, ...] = Field(
        (),
        description="What the local image must carry beyond its base, such as `rust`; the official image needs none.",
    )
    runner: RunnerLabel | None = Field(
        None, description="The label of the machines that its jobs run on, where it is not the site's."
    )
    frontend: Frontend = Field(Frontend.BUILD_UV, description="cibuildwheel's build frontend.")
    upstream: StrictBool = Field(True, description="Inherit upstream's own `[tool.cibuildwheel]`.")
    subdirectory: RecipePath = Field(".", description="The folder of the source tree that holds the package.")
    timeout: Seconds = Field(10_800, description="How long one job may take, container start and tests included.")
    network: StrictBool = Field(True, description="Whether the build may use the network.")
    environment: dict[str, str] = Field(
        default_factory=dict, description="Variables added to upstream's, in the container."
    )
    cibuildwheel: dict[str, Any] = Field(
        default_factory=dict,
        description="Options of cibuildwheel, verbatim. Lists, tables and commands are added to upstream's; an "
        "`inherit` table says otherwise, as in cibuildwheel's own overrides.",
    )


class Test(Model):
    """Which of upstream's tests run against the repaired wheel, in the container, on riscv64."""

    __test__ = False

    requires: tuple[str, ...] = Field((), description="What the tests need installed.")
    needs: tuple[PackageName, ...] = Field(
        (), description="Packages of ours that the tests take from the index folder, as `[build] needs` for the build."
    )
    command: str | None = Field(
        None,
        description="The test command, as cibuildwheel takes it; `{project}` is the source tree. Replaces upstream's, "
        "and with it all that upstream installs for its tests.",
    )
    extras: tuple[str, ...] = Field((), description="Extras of the wheel to install for the tests.")
    environment: dict[str, str] = Field(default_factory=dict, description="Variables for the tests only.")
    subset: str | None = Field(None, description="Why only a part of upstream's tests runs; required when it does.")
    skip: tuple[InterpreterTag, ...] = Field((), description="Interpreters to leave untested.")

    @field_validator("environment")
    @classmethod
    def _no_commands(cls, value: dict[str, str]) -> dict[str, str]:
        # cibuildwheel 4.3 evaluates this one outside the container (platforms/linux.py), and build.environment inside.
        if any("$(" in text or "`" in text for pair in value.items() for text in pair):
            raise ValueError("may hold no command such as '$(nproc)': it would run on this machine, not in the image")
        return value


class Check(Model):
    """What is checked of a wheel, beyond the rules that hold for all."""

    imports: tuple[str, ...] | None = Field(
        None, description="Modules to import, instead of every top-level module in the wheel."
    )
    libraries: tuple[str, ...] = Field(
        (), description="Shared libraries the wheel may expect from the system, beyond what the policy grants."
    )


class Interpreters(Model):
    """Which of the site's interpreters are built."""

    only: tuple[InterpreterTag, ...] | None = Field(None, description="Build for these alone.")
    skip: tuple[InterpreterTag, ...] = Field((), description="Do not build for these.")
    why: str | None = Field(None, description="The reason, shown in the plan.")


class Expect(Model):
    """What the build is expected to yield, where it cannot be derived from upstream's own wheels."""

    tags: tuple[Annotated[str, Field(pattern=r"^[a-z0-9_.]+-[a-z0-9_.]+$")], ...] | None = Field(
        None,
        description="Python and ABI tag of each wheel, such as `cp38-abi3`. A package that says so is built although "
        "upstream's own wheels are pure Python.",
    )


class Patch(Model):
    """One patch, in the recipe's folder, applied to the unpacked source with git."""

    file: RecipePath = Field(description="The patch file.")
    versions: Specifier = Field("", description="The versions it is for (PEP 440); all when empty.")
    why: str = Field(min_length=3, description="Why it is needed.")
    status: str = Field(
        description="Where it stands upstream: `Issue [url]`, `Submitted [url]`, `Backport [url]`, `To upstream "
        "[comment]` or `Inappropriate [reason]`."
    )

    @field_validator("status")
    @classmethod
    def _known_status(cls, value: str) -> str:
        match = re.match(r"\A(Issue|Submitted|Backport|To upstream|Inappropriate) \[([^\[\]]+)\]\Z", value)
        if not match:
            raise ValueError(
                "must be one of 'Issue [url]', 'Submitted [url]', 'Backport [url]', 'To upstream [comment]', "
                "'Inappropriate [reason]'"
            )
        if match[1] in {"Issue", "Submitted", "Backport"} and not match[2].startswith("https://"):
            raise ValueError(f"'{match[1]}' needs an https:// address in its brackets")
        return value

    def is_for(self, version: Version) -> bool:
        """Return whether it is applied to *version*; pre-releases are versions like others."""
        return SpecifierSet(self.versions).contains(version, prereleases=True)


class Upstream(Model):
    """What is known of upstream: which of its versions are taken, and its own riscv64 wheels."""

    versions: Specifier = Field(
        "", description="The versions that are taken (PEP 440); newer ones beyond it are reported as blocked."
    )
    ships_since: str | None = Field(
        None, description="The first version for which upstream publishes riscv64 wheels itself."
    )
    note: str | None = Field(None, description="Why the recipe is kept all the same, or anything a reader should know.")


class Settings(Model):
    """All that one version of a package is built with, after inheritance."""

    # A plug-in's keys are in a subclass, and count in a recipe's digest as others do.
    source: SerializeAsAny[Annotated[Source, WrapValidator(_by_kinds)]] = Field(default_factory=Source)
    sdist: Sdist = Field(default_factory=Sdist)
    build: Build = Field(default_factory=Build)
    test: Test = Field(default_factory=Test)
    check: Check = Field(default_factory=Check)
    interpreters: Interpreters = Field(default_factory=Interpreters)
    expect: Expect = Field(default_factory=Expect)
    upstream: Upstream = Field(default_factory=Upstream)
    patch: tuple[Patch, ...] = Field((), description="Patches, applied in this order.")

    @property
    def needs(self) -> tuple[str, ...]:
        """Packages of ours that must be in the index folder first, for the build or for the tests; each once."""
        return tuple(dict.fromkeys((*self.build.needs, *self.test.needs)))


class VersionOverride(Settings):
    """Any of the recipe's tables, for a range of versions."""

    match: Specifier = Field(min_length=1, description="The versions it is for (PEP 440); pre-releases count.")


class RecipeFile(Settings):
    """A recipe, as it is written: `recipes/<package>/recipe.toml`. Every table may be left out; so may all of them."""

    version: tuple[VersionOverride, ...] = Field(
        (), description="Overrides that match a version are laid over the rest, in this order."
    )
