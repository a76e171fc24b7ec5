"""Artifacts of runs (rest/actions/artifacts)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.gitlab.wire import Answer, HaltError, as_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.github.state import Artifact, GitHub

Params = dict[str, Any]


def list_artifacts(github: GitHub, site: str, params: Params) -> object:
    """List those of a name, the newest first, an object around them; `workflow_run` tells what they are of."""
    found = [each for each in reversed(github.artifacts.values()) if params.get("name") in {None, each.name}]
    size = min(int(params.get("per_page", 30)), 100)
    begin = (int(params.get("page", 1)) - 1) * size
    return {
        "total_count": len(found),
        "artifacts": [_shown(github, site, each) for each in found[begin : begin + size]],
    }


def download(github: GitHub, site: str, _params: Params, number: int) -> Answer:
    """Redirect to where the zip is, for a minute (302); 410 once it has expired."""
    artifact = github.artifacts.get(number)
    if artifact is None:
        raise HaltError(as_json({"message": "Not Found"}, 404))
    if artifact.expired:
        raise HaltError(as_json({"message": "Artifact has expired"}, 410))
    return Answer(
        302, b"", {"Location": f"{github.storage or site}/api/v3/repos/{github.repository.name}/blob/{number}"}
    )


def blob(github: GitHub, _site: str, _params: Params, number: int) -> Answer:
    """Stand in for the storage that a download leads to."""
    return Answer(200, github.artifacts[number].data, {"Content-Type": "application/zip"})


def _shown(github: GitHub, site: str, artifact: Artifact) -> object:
    url = f"{site}/api/v3/repos/{github.repository.name}/actions/artifacts/{artifact.number}"
    return {
        "id": artifact.number,
        "name": artifact.name,
        "size_in_bytes": len(artifact.data),
        "url": url,
        "archive_download_url": f"{url}/zip",
        "expired": artifact.expired,
        "created_at": "2026-11-24T01:00:00Z",
        "workflow_run": {
            "id": artifact.run,
            "repository_id": 1,
            "head_repository_id": 2 if artifact.fork else 1,
            "head_branch": "a-branch",
            "head_sha": artifact.commit,
        },
    }


ROUTES: list[tuple[str, str, Callable[..., object]]] = [
    ("GET", r"/actions/artifacts", list_artifacts),
    ("GET", r"/actions/artifacts/(\d+)/zip", download),
    ("GET", r"/blob/(\d+)", blob),
]
