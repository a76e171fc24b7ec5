"""What runs of a forge's pipelines have left behind: found by name, from runs of the project itself only."""

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
    """What one job of an earlier run has left.

    Attributes:
        number: by which the forge knows it; a later one has a larger one.
        name: what the job called it.
        size: bytes, as the forge has it.
        run: the run that it is from.
        commit: what that ran for; empty if the forge does not say.
    """

    number: int
    name: str
    size: int
    run: int
    commit: str


class Artifacts(Protocol):
    """Where they are kept."""

    def find(self, name: str) -> tuple[Artifact, ...]:
        """Return those of this name that are still there and come from the project itself, the newest first.

        Raises:
            CredentialsError: whoever we are may not see them.
            NetworkError: the forge does not answer.
        """

    def fetch(self, artifact: Artifact, target: Path, *, limit: int) -> None:
        """Write one, a zip, into *target*.

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
        """Return what is there; a run of a fork's pull request names the fork as where its commit is from."""
        found: list[Artifact] = []
        for page in range(1, _PAGES + 1):
            asked = urlencode({"per_page": _PAGE, "page": page, "name": name})
            value = self._client.ask("GET", f"{self._path}?{asked}")
            try:
                there = list(value["artifacts"])
                found += [_artifact(each) for each in there if each["name"] == name and _is_own(each)]
            except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
                raise NetworkError("the answer is not one of GitHub's") from error
            if found or len(there) < _PAGE:  # a page of strangers' only hides nothing
                break
        return tuple(sorted(found, key=lambda artifact: artifact.number, reverse=True))

    def fetch(self, artifact: Artifact, target: Path, *, limit: int) -> None:
        """Download one."""
        self._client.download(f"{self._path}/{artifact.number}/zip", target, limit=limit)


def _is_own(given: dict[str, Any]) -> bool:
    run = given["workflow_run"] or {}
    own = run.get("repository_id")
    return not given["expired"] and bool(run.get("id")) and bool(own) and run["head_repository_id"] == own


def _artifact(given: dict[str, Any]) -> Artifact:
    run = given["workflow_run"]
    commit = str(run.get("head_sha"))
    commit = commit if _COMMIT.fullmatch(commit) else ""
    return Artifact(int(given["id"]), str(given["name"]), int(given["size_in_bytes"]), int(run["id"]), commit)


def open_artifacts(config: ChangeRequestConfig, token: str) -> Artifacts:
    """Return the artifacts of the project that the site configuration names for proposals; nothing is asked yet.

    Raises:
        ConfigError: the forge is not GitHub.
    """
    if config.forge != "github":
        raise ConfigError(
            "wheels are promoted from GitHub's artifacts only, and the site configuration names GitLab",
            fix="there a pipeline on the default branch builds what was merged: wheelyard plan",
        )
    return GitHubArtifacts(GitHubApi(config.server, token, where=config.project), config.project)
