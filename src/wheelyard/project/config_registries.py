"""Site configuration of registries, ``[tool.wheelyard.registries.<name>]``: where wheels may go, and what stays there.

A new kind of registry is a model here, its line in ``REGISTRIES``, and the adapter that the model names.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SerializeAsAny

from wheelyard.core.names import did_you_mean
from wheelyard.project.model import Model, RecipePath, Seconds
from wheelyard.project.plugins import plugins

_HERE = frozenset({"127.0.0.1", "::1", "localhost"})


def _server(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be the address of a server, such as https://gitlab.com")
    if parts.username or parts.password:
        raise ValueError("must not hold a login: credentials come from the environment or from files")
    if parts.scheme == "http" and parts.hostname not in _HERE:
        raise ValueError("must be https: over http, everybody on the way reads the token")
    return value.rstrip("/")


def _project(value: str) -> str:
    if not value or value != value.strip("/ ") or any(not part for part in value.split("/")):
        raise ValueError("must be a project's number or path, such as group/project")
    return value


ServerUrl = Annotated[str, AfterValidator(_server)]
ProjectPath = Annotated[str, AfterValidator(_project)]


class RegistryConfig(Model):
    """The settings that every registry has, and the name of its adapter.

    Attributes:
        adapter: the adapter's class, ``module:class``; see :class:`wheelyard.registries.registry.Registry`.
    """

    adapter: ClassVar[str]

    kind: str = Field(description="The kind.")
    record: bool = Field(True, description="Whether `packages/<pkg>/releases.toml` lists what is published there.")
    local_images: bool = Field(False, description="Whether it takes wheels that were built in a local image.")
    keep: int = Field(0, ge=0, description="Versions of a package that `registry prune` keeps; 0 keeps all.")
    keep_referenced: bool = Field(True, description="Whether prune keeps versions that `lock.toml` pins.")
    copyleft_sources: Literal["required", "optional"] = Field(
        "optional", description="Whether the sources of copyleft libraries in a wheel must be there before it is."
    )


class GitLabConfig(RegistryConfig):
    """A project's package registry on a GitLab server."""

    adapter = "wheelyard.registries.gitlab.gitlab_registry:GitLabRegistry"

    kind: Literal["gitlab"] = Field(description="`gitlab`")
    url: ServerUrl = Field("https://gitlab.com", description="The server.")
    project: ProjectPath = Field(description="The project's path, or its number.")
    variables: tuple[str, ...] = Field(
        ("WHEELYARD_GITLAB_TOKEN",),
        min_length=1,
        description="Environment variables that may hold its token, the first one first.",
    )
    parallel: int = Field(8, ge=1, le=32, description="Versions sent at once, and files read at once.")
    timeout: Seconds = Field(300, description="How long the server may take to answer an upload.")
    ca_bundle: str = Field("", description="A file with the certificates to trust; the system's if empty.")
    copyleft_sources: Literal["required", "optional"] = Field(
        "required", description="Whether the sources of copyleft libraries in a wheel must be there before it is."
    )


class DirectoryConfig(RegistryConfig):
    """A directory with files and static index pages."""

    adapter = "wheelyard.registries.directory:DirectoryRegistry"

    kind: Literal["directory"] = Field(description="`directory`")
    path: RecipePath = Field(description="The directory, below the project.")


REGISTRIES: dict[str, type[RegistryConfig]] = {"gitlab": GitLabConfig, "directory": DirectoryConfig}
GROUP = "wheelyard.registries"  # of entry points: the models of other distributions, by their kind


def _by_kind(value: object) -> object:
    if not isinstance(value, dict):
        return value
    kind = value.get("kind")
    if not isinstance(kind, str) or not (kind in REGISTRIES or kind in plugins(GROUP)):
        kinds = sorted({*REGISTRIES, *plugins(GROUP)})
        near = did_you_mean(kind, kinds) if isinstance(kind, str) else ""
        raise ValueError(f"kind must be one of {', '.join(map(repr, kinds))}, not {kind!r}{near}")
    model: type[RegistryConfig] = REGISTRIES[kind] if kind in REGISTRIES else plugins(GROUP)[kind].load()
    return model.model_validate(value)


AnyRegistryConfig = Annotated[SerializeAsAny[RegistryConfig], BeforeValidator(_by_kind)]
