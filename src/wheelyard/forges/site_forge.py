"""The forge that the site configuration names for change requests, opened with the token that it names."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from wheelyard.core.errors import ConfigError, CredentialsError
from wheelyard.forges import open_forge
from wheelyard.io.environment_token import read_token

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wheelyard.forges import Forge
    from wheelyard.project.config import Project
    from wheelyard.project.config_change_requests import ChangeRequestConfig


@contextlib.contextmanager
def open_site_forge(project: Project, *, dry_run: bool) -> Iterator[tuple[Forge, ChangeRequestConfig]]:
    """Yield the forge that the site configuration names for change requests, and its settings.

    Raises:
        ConfigError: it names none.
        CredentialsError: its token is not in the environment.
    """
    config = project.config.change_requests
    if config is None:
        raise ConfigError(
            "the site configuration names no forge for change requests",
            fix="add [tool.wheelyard.change-requests]; docs/how-to/change-requests.md",
        )
    token = read_token(config.variable)
    if not token:
        raise CredentialsError(
            f"{config.variable} is not set: no change request can be opened",
            fix=f"set {config.variable} to a token that may push branches and open requests in {config.project}",
        )
    with open_forge(config, token, project.root, dry_run=dry_run) as forge:
        yield forge, config
