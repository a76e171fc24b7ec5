"""Artifacts of a forge's pipelines: found by name, from runs of the project itself only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode

from wheelyard.core.errors import ConfigError, NetworkError
from wheelyard.forges.github_api import GitHubApi

if TYPE_CHECKING:
    from pathlib import Path

    from wheelyard.project.config_change_requests import ChangeRequestConfig

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_PAGE, _PAGES = 100, 10  # of one name; only the newest are of interest


@dataclass(frozen=True)
class Artifact:
    """The artifact of one job of an earlier run.

    Attributes:
        number: its number; a later one has a larger one.
        name: its name.
        size: bytes, as the forge has it.
        run: the number of its run.
        commit: the commit of the run; empty if the forge reports none.
    """

    number: int
    name: str
    size: int
    run: int
    commit: str


class Artifacts(Protocol):
    """The store of artifacts of a forge."""

    def find(self, name: str) -> tuple[Artifact, ...]:
        """Return the artifacts of this name that are still there and come from the project itself, the newest first.

        Raises:
            CredentialsError: the token may not read them.
            NetworkError: the forge does not answer.
        """

    def fetch(self, artifact: Artifact, target: Path, *, limit: int) -> None:
        """Write an artifact, a zip, into *target*.

        Raises:
            NetworkError: it does not come.
            SourceError: it has more than *limit* bytes.
            DiskError: no space.
        """


class GitHubArtifacts:
    """The artifacts of one GitHub repository (https://docs.github.com/en/rest/actions/artifacts).

    Args:
        client: the server's API.
        repository: ``owner/name``.
    """

    def __init__(self, client: GitHubApi, repository: str) -> None:
        self._client = client
        self._path = f"repos/{repository}/actions/artifacts"

    def find(self, name: str) -> tuple[Artifact, ...]:
        """Return the artifacts of this name; the run of a fork's pull request names the fork as its head repository."""
        artifacts: list[Artifact] = []
        for page in range(1, _PAGES + 1):
            query = urlencode({"per_page": _PAGE, "page": page, "name": name})
            value = self._client.ask("GET", f"{self._path}?{query}")
            try:
                entries = list(value["artifacts"])
                artifacts += [_artifact(entry) for entry in entries if entry["name"] == name and _is_own(entry)]
            except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
                raise NetworkError("the answer is not one of GitHub's") from error
            if artifacts or len(entries) < _PAGE:  # a page with those of forks only is not the last
                break
        return tuple(sorted(artifacts, key=lambda artifact: artifact.number, reverse=True))

    def fetch(self, artifact: Artifact, target: Path, *, limit: int) -> None:
        """Download an artifact."""
        self._client.download(f"{self._path}/{artifact.number}/zip", target, limit=limit)


def _is_own(entry: dict[str, Any]) -> bool:
    run = entry["workflow_run"] or {}
    repository = run.get("repository_id")
    return not entry["expired"] and bool(run.get("id")) and bool(repository) and run["head_repository_id"] == repository


def _artifact(entry: dict[str, Any]) -> Artifact:
    run = entry["workflow_run"]
    commit = str(run.get("head_sha"))
    commit = commit if _COMMIT.fullmatch(commit) else ""
    return Artifact(int(entry["id"]), str(entry["name"]), int(entry["size_in_bytes"]), int(run["id"]), commit)


def open_artifacts(config: ChangeRequestConfig, token: str) -> Artifacts:
    """Return the artifacts of the project that the site configuration names for change requests; nothing is asked yet.

    Raises:
        ConfigError: the forge is not GitHub.
    """
    if config.forge != "github":
        raise ConfigError(
            "wheels are reused from GitHub's artifacts only, and the site configuration names GitLab",
            fix="there a pipeline on the default branch builds what was merged: wheelyard plan",
        )
    return GitHubArtifacts(GitHubApi(config.server, token, where=config.project), config.project)
