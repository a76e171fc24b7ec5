"""``[[tool.wheelyard.tokens]]`` and renewals: what expires, and where `check-tokens` keeps its issue."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from wheelyard.project.config_registries import ProjectPath, ServerUrl
from wheelyard.project.model import Model

# lib/gitlab/access.rb
ROLES = {
    "Minimal Access": 5,
    "Guest": 10,
    "Planner": 15,
    "Reporter": 20,
    "Developer": 30,
    "Maintainer": 40,
    "Owner": 50,
}

Name = Annotated[str, Field(min_length=1, pattern=r"^[^\s|`](.*[^\s|`])?$")]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Role = Literal["Minimal Access", "Guest", "Planner", "Reporter", "Developer", "Maintainer", "Owner"]
Scope = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
# app/models/deploy_token.rb, AVAILABLE_SCOPES
DeployScope = Literal[
    "read_repository",
    "read_registry",
    "write_registry",
    "read_package_registry",
    "write_package_registry",
    "read_virtual_registry",
    "write_virtual_registry",
]


class _Token(Model):
    """What every token has."""

    name: Name
    variable: Variable = Field(description="The environment variable that holds it.")
    url: ServerUrl = Field("https://gitlab.com", description="The server.")


class GroupTokenConfig(_Token):
    """A group access token."""

    kind: Literal["group"] = Field(description="`group`")
    name: Name = Field(description="What people call it; `--rotate` takes it.")
    group: ProjectPath = Field(description="The path of the group that it belongs to.")
    role: Role = Field(description="The role that it is meant to have.")
    scopes: frozenset[Scope] = Field(min_length=1, description="The scopes that it is meant to have, all of them.")


class DeployTokenConfig(_Token):
    """A project's deploy token."""

    kind: Literal["deploy"] = Field(description="`deploy`")
    name: Name = Field(description="Its name on GitLab, by which it is found there.")
    project: ProjectPath = Field(description="The path of the project that it belongs to.")
    scopes: frozenset[DeployScope] = Field(
        min_length=1, description="The scopes that it is meant to have, all of them."
    )


class RenewalConfig(Model):
    """Something that people renew, and no API reports."""

    name: Name = Field(description="What people call it.")
    due: date = Field(description="The day by which it must be renewed; the next one after each renewal.")
    how: str = Field(min_length=1, description="How it is renewed, and by whom.")


class IssueConfig(Model):
    """Where ``check-tokens --issues`` keeps its issue."""

    url: ServerUrl = Field("https://gitlab.com", description="The server.")
    project: ProjectPath = Field(description="The path of the project whose issue it is.")
    variable: Variable = Field(description="The environment variable that holds the token to write it with.")
    label: Name = Field("tokens", description="The label by which it is found again.")


def _distinct(tokens: tuple[TokenConfig, ...]) -> tuple[TokenConfig, ...]:
    names = [token.name for token in tokens]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"a name stands for one token only: {', '.join(twice)}")
    return tokens


TokenConfig = Annotated[GroupTokenConfig | DeployTokenConfig, Field(discriminator="kind")]
Tokens = Annotated[tuple[TokenConfig, ...], AfterValidator(_distinct)]
