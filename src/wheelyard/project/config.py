"""The project folder and its site configuration, ``[tool.wheelyard]`` in ``pyproject.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError

from wheelyard.core import toml
from wheelyard.core.errors import ConfigError
from wheelyard.core.tags import manylinux
from wheelyard.project.config_change_requests import ChangeRequestConfig
from wheelyard.project.config_registries import AnyRegistryConfig, ServerUrl
from wheelyard.project.config_tokens import IssueConfig, RenewalConfig, Tokens
from wheelyard.project.model import InterpreterTag, Model, RunnerLabel, Seconds

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{1,80}$")]


def _policy(value: str) -> str:
    parsed = manylinux(value)
    if parsed is None or parsed[1] != "riscv64":
        raise ValueError("must be a riscv64 manylinux policy such as manylinux_2_39_riscv64 (PEP 600)")
    return value


class IgnoredVulnerability(Model):
    """A vulnerability that `audit` counts for nothing, for a while."""

    id: Identifier = Field(description="Its identifier, or an alias, such as `CVE-2024-1234` or `GHSA-…`.")
    packages: tuple[str, ...] = Field((), description="For these packages only; for all if empty.")
    reason: str = Field(min_length=1, description="Why it does no harm here.")
    until: date = Field(description="The last day on which that holds; then somebody looks again.")


class AuditConfig(Model):
    """What `audit` goes by."""

    url: ServerUrl = Field("https://api.osv.dev", description="The server that speaks OSV's API.")
    ignore: tuple[IgnoredVulnerability, ...] = Field((), description="`[[tool.wheelyard.audit.ignore]]`; see below.")
    label: str = Field("vulnerability", min_length=1, description="The label that its issues bear, besides others.")


class RunnersConfig(Model):
    """The machines that jobs run on."""

    label: RunnerLabel = Field(
        "ubuntu-24.04-riscv", description="The runner's label on GitHub; a recipe's `[build] runner` says otherwise."
    )
    gitlab_tags: tuple[RunnerLabel, ...] = Field(
        ("riscv64",), min_length=1, description="The runner's tags on GitLab; a recipe's own label takes their place."
    )
    count: int = Field(8, gt=0, le=10_000, description="How many jobs run at once.")
    image_start: Annotated[Seconds, Field(description="How long a job waits until its image has started.")] = 60
    longest: Annotated[Seconds, Field(description="How long the forge lets a job run.")] = 86_400
    gitlab_wheels: int = Field(
        1,
        gt=0,
        le=6,
        description="The most wheels that one job builds on GitLab, which keeps what a job has built only when that "
        "ends: more save starts of the image, and are lost together with their machine. More share one where the "
        "server would not take so many jobs.",
    )
    gitlab_jobs: int = Field(
        450, gt=0, le=10_000, description="The most jobs of one generated pipeline on GitLab; more make another one."
    )
    gitlab_needs: int = Field(
        50, gt=0, le=1000, description="The most jobs that one job may wait for on GitLab (its `ci_needs_size_limit`)."
    )


class WatchConfig(Model):
    """What `check-upstream` goes by."""

    cool_down: int = Field(
        3, ge=0, le=365, description="Days that a release is left alone: wheels come late, and bad ones are yanked."
    )
    versions: int = Field(3, gt=0, le=10, description="How many new versions of a package are reported.")
    parallel: int = Field(32, gt=0, le=64, description="Pages of the index that are read at once.")


class SiteConfig(Model):
    """The settings for all packages; no recipe repeats them."""

    interpreters: tuple[InterpreterTag, ...] = Field(description="The site set of interpreters.")
    policy: Annotated[str, AfterValidator(_policy)] = Field(description="No wheel may need a newer one.")
    architecture_floor: str = Field("rv64gc", description="The instruction set that every board has.")
    image: str = Field("auto", description="Which image builds use: auto, official, local, local:forky …")
    index: str = Field("dist/index", description="The index folder that builds may take requirements from.")
    max_sdist_mib: int = Field(512, gt=0, description="The largest sdist that is accepted, in MiB.")
    max_unpacked_mib: int = Field(4096, gt=0, description="The largest unpacked source, in MiB.")
    max_members: int = Field(200_000, gt=0, description="The most members an archive may have.")
    min_free_gib: int = Field(6, ge=0, description="Free disk space below which no build starts, in GiB.")
    idle_seconds: int = Field(
        300,
        ge=10,
        description="Under emulation, seconds with next to no processor time after which a build is ended and tried "
        "once more: QEMU can deadlock.",
    )
    registries: dict[str, AnyRegistryConfig] = Field(
        default_factory=dict, description="Where wheels are published to, by name; see below."
    )
    local_images_to_folders: bool = Field(
        True, description="Whether a folder that is none of the registries takes wheels of local images."
    )
    cleared_grafts: tuple[str, ...] = Field(
        (),
        description="Libraries, by patterns of their file names, that are in wheels though not from the build image, "
        "and whose licences somebody has looked at: no sources are asked for; see "
        "[copyleft sources](../how-to/sources.md).",
    )
    tokens: Tokens = Field((), description="The tokens that `check-tokens` watches; see below.")
    renewals: tuple[RenewalConfig, ...] = Field((), description="Renewals that no API reports; see below.")
    warn_days: int = Field(30, ge=1, description="How many days ahead `check-tokens` says that something ends.")
    issues: IssueConfig | None = Field(None, description="Where `check-tokens --issues` writes; see below.")
    change_requests: ChangeRequestConfig | None = Field(
        None, description="Where `check-upstream --propose` goes; see below."
    )
    watch: WatchConfig = Field(
        default_factory=lambda: WatchConfig.model_validate({}), description="What `check-upstream` goes by; see below."
    )
    audit: AuditConfig = Field(
        default_factory=lambda: AuditConfig.model_validate({}), description="What `audit` goes by; see below."
    )
    runners: RunnersConfig = Field(
        default_factory=lambda: RunnersConfig.model_validate({}), description="What jobs run on; see below."
    )
    defaults: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="The outermost layer of every recipe."
    )


@dataclass(frozen=True)
class Project:
    """A checkout: where recipes, records and results are."""

    root: Path
    config: SiteConfig

    @property
    def recipes(self) -> Path:
        """The folder of recipes, which people write."""
        return self.root / "recipes"

    @property
    def packages(self) -> Path:
        """The folder of records, which the tool writes."""
        return self.root / "packages"

    @property
    def dist(self) -> Path:
        """The folder of results: ``dist/<pkg>/<version>/``."""
        return self.root / "dist"

    @property
    def index(self) -> Path:
        """The index folder in the site configuration."""
        return self.root / self.config.index


def find_project(start: Path | None = None) -> Project:
    """Return the project that *start* (the current folder by default) lies in.

    Raises:
        ConfigError: there is none, or its configuration is not valid.
    """
    folder = (start or Path.cwd()).resolve()
    if project := seek_project(folder):
        return project
    raise ConfigError(
        f"{folder} is not inside a wheelyard project",
        fix="change to the checkout, or add [tool.wheelyard] to its pyproject.toml",
    )


def seek_project(start: Path | None = None) -> Project | None:
    """Return the project that *start* (the current folder by default) lies in, None if there is none.

    Raises:
        ConfigError: its configuration is not valid.
    """
    first = (start or Path.cwd()).resolve()
    for folder in (first, *first.parents):
        file = folder / "pyproject.toml"
        if file.is_file():
            try:
                tool = toml.loads(file.read_text(encoding="utf-8")).get("tool")
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
                raise ConfigError(f"is not valid TOML: {error}", where=str(file)) from error
            table = tool.get("wheelyard") if isinstance(tool, dict) else None
            if table is not None:
                return Project(folder, _read(table, file))
    return None


def default_project(root: Path, interpreters: tuple[str, ...]) -> Project:
    """Return an assumed project without registries, for verbs that only look things up outside of a project.

    Args:
        root: a folder; nothing is read there.
        interpreters: those that count.
    """
    return Project(root, SiteConfig.model_validate({"interpreters": interpreters, "policy": "manylinux_2_39_riscv64"}))


def _read(table: dict[str, Any], file: Path) -> SiteConfig:
    try:
        return SiteConfig.model_validate(table)
    except ValidationError as error:
        details = [
            f"tool.wheelyard.{'.'.join(map(str, item['loc']))}: {item['msg']}"
            for item in error.errors(include_url=False)
        ]
        raise ConfigError(
            "site configuration is not valid",
            where=str(file),
            details=details,
            fix="see docs/reference/site-configuration.md for every key",
        ) from error
