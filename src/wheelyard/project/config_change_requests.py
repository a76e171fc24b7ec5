"""``[tool.wheelyard.change-requests]``: where merge requests or pull requests go."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from wheelyard.project.config_registries import ProjectPath, ServerUrl
from wheelyard.project.config_tokens import Name, Variable
from wheelyard.project.model import Model

_REPOSITORY = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+\Z")
_BRANCH = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._/+-]*\Z")
_SERVERS = {"gitlab": "https://gitlab.com", "github": "https://github.com"}


def _branch(value: str) -> str:
    if value and (not _BRANCH.match(value) or ".." in value or value.endswith(("/", ".", ".lock"))):
        raise ValueError("must be the name of a branch")
    return value


def _remote(value: str) -> str:
    if value.startswith("-") or value != "".join(value.split()):
        raise ValueError("must be the name of a git remote, or its address")
    return value


class ChangeRequestConfig(Model):
    """The forge that change requests go to."""

    forge: Literal["gitlab", "github"] = Field(description="`gitlab` (merge requests) or `github` (pull requests).")
    url: ServerUrl | None = Field(None, description="The server; the forge's own if none is named.")
    project: ProjectPath = Field(description="The project's path on GitLab, `owner/name` on GitHub.")
    remote: Annotated[str, AfterValidator(_remote)] = Field(
        "", description="The git remote that branches are pushed to, by name or address; the project's own if empty."
    )
    base: Annotated[str, AfterValidator(_branch)] = Field(
        "", description="The branch to merge into; the repository's default branch if empty."
    )
    variable: Variable = Field(description="The environment variable that holds the token, for the API and the push.")
    limit: int = Field(10, ge=1, description="How many may be open at once before a run opens no further ones.")
    labels: tuple[Name, ...] = Field(("wheelyard",), description="The labels that every one of them bears.")
    records: Literal["propose", "push"] = Field(
        "propose",
        description="How `records --propose` brings out what publishing wrote: by one request (`propose`), or onto the "
        "base branch at once (`push`).",
    )

    @property
    def server(self) -> str:
        """The server's address."""
        return self.url or _SERVERS[self.forge]

    @property
    def address(self) -> str:
        """The git remote, by name or address."""
        return self.remote or f"{self.server}/{self.project}.git"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.forge == "github" and not _REPOSITORY.match(self.project):
            raise ValueError("project must be owner/name on GitHub")
        if self.forge == "github" and not self.server.startswith("https://"):
            raise ValueError("url must be https: the token is sent there")
        if self.project.isdigit() and not self.remote:
            raise ValueError("remote must be named where project is a number")
        if any("," in label for label in self.labels):
            raise ValueError("labels must not hold a comma")
        return self
