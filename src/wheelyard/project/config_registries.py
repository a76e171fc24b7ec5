"""Site policy on registries, ``[tool.wheelyard.registries.<name>]``: where wheels may go, and what stays there."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from wheelyard.project.model import Model, RecipePath, Seconds

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


class _Registry(Model):
    """What every registry has."""

    record: bool = Field(True, description="Whether `packages/<pkg>/releases.toml` lists what is published there.")
    local_images: bool = Field(False, description="Whether it takes wheels that were built in a local image.")
    keep: int = Field(0, ge=0, description="Versions of a package that `registry prune` keeps; 0 keeps all.")
    keep_referenced: bool = Field(True, description="Whether prune keeps versions that `lock.toml` pins.")
    copyleft_sources: Literal["required", "optional"] = Field(
        "optional", description="Whether the sources of copyleft libraries in a wheel must be there before it is."
    )


class GitLabPolicy(_Registry):
    """A project's package registry on a GitLab server."""

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


class FolderPolicy(_Registry):
    """A folder with files and static index pages."""

    kind: Literal["folder"] = Field(description="`folder`")
    path: RecipePath = Field(description="The folder, below the project.")


RegistryPolicy = Annotated[GitLabPolicy | FolderPolicy, Field(discriminator="kind")]
