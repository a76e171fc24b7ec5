"""What runs when on GitLab, by its own rules; and that no value of an outside origin gets into a script."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml  # type: ignore[import-untyped]

from support.gitlab_ci import LOCKED, MERGE_REQUEST, PUSH, ROOT, Checkout, schedule

if TYPE_CHECKING:
    from collections.abc import Mapping

OTHER = {"CI_COMMIT_BRANCH": "topic"}
KINDS: dict[str, dict[str, str]] = {
    "a merge request": MERGE_REQUEST,
    "a merge request that asks for more": MERGE_REQUEST
    | {"CI_MERGE_REQUEST_DESCRIPTION": "See below.\nTrigger: numpy:2.0\n"},
    "a push to main": PUSH,
    "started by hand": {"CI_PIPELINE_SOURCE": "web"},
    "nightly": schedule("nightly"),
    "versions": schedule("versions"),
    "tokens": schedule("tokens"),
    "a schedule that is misspelt": schedule("nigthly"),
}
EXPECTED: dict[str, set[str]] = {
    "a merge request": {"review", "preflight", "plan", "planned", "wheels"},
    "a merge request that asks for more": {
        "review",
        "preflight",
        "plan",
        "planned",
        "wheels",
        "plan-triggered",
        "wheels-triggered",
    },
    "a push to main": {"plan", "planned", "wheels", "pages"},
    "started by hand": {"plan", "planned", "wheels", "versions", "tokens", "audit", "installs"},
    "nightly": {"plan", "planned", "wheels", "versions", "tokens", "audit", "installs"},
    "versions": {"versions"},
    "tokens": {"tokens"},
    "a schedule that is misspelt": {"unknown-schedule"},
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    root = tmp_path_factory.mktemp("rules") / "clone"
    (root / "ci").mkdir(parents=True)
    (root / ".gitlab-ci.yml").write_bytes((ROOT / ".gitlab-ci.yml").read_bytes())
    (root / "ci/gitlab").mkdir()
    for file in (ROOT / "ci/gitlab").glob("*.yml"):
        (root / "ci/gitlab" / file.name).write_bytes(file.read_bytes())
    address = "https://gitlab.example/riseproject/python/wheel_builder.git"
    author = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")
    for words in (
        ("init", "--quiet", "-b", "main"),
        ("remote", "add", "origin", address),
        ("add", "."),
        (*author, "commit", "--quiet", "-m", "a"),
    ):
        subprocess.run(["git", *words], cwd=root, check=True)
    return Checkout(root)


@pytest.mark.parametrize("kind", KINDS)
def test_what_runs_when(kind: str, checkout: Checkout) -> None:
    assert set(checkout.jobs(KINDS[kind])) == EXPECTED[kind]


def files() -> dict[str, Any]:
    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        pass

    Loader.add_constructor("!reference", lambda loader, node: loader.construct_sequence(node))
    paths = [ROOT / ".gitlab-ci.yml", *(ROOT / "ci/gitlab").glob("*.yml")]
    found: dict[str, Any] = {}
    for path in paths:
        found |= yaml.load(path.read_text(encoding="utf-8"), Loader)  # noqa: S506 - a SafeLoader with one tag more
    return found


def scripts(found: Mapping[str, Any]) -> list[str]:
    return [
        line
        for job in found.values()
        if isinstance(job, dict)
        for key in ("before_script", "script", "after_script")
        for line in job.get(key, ())
    ]


def test_a_script_names_no_value_that_strangers_choose() -> None:
    outside = r"\$\{?(CI_COMMIT_(REF|BRANCH|TITLE|MESSAGE|AUTHOR|TAG)|CI_MERGE_REQUEST_|GITLAB_USER)"
    lines = scripts(files())
    assert len(lines) > 8
    assert [line for line in lines if re.search(outside, line)] == []
    assert [line for line in lines if re.search(r"\beval\b|\bsh -c\b", line)] == []


def test_only_what_writes_is_kept_from_being_interrupted() -> None:
    found = files()
    keeps = {name for name, job in found.items() if isinstance(job, dict) and job.get("interruptible") is False}
    assert keeps == {".upkeep", "pages"}
    assert found["default"]["interruptible"] is True


def test_the_runners_lock_names_no_host() -> None:
    text = (LOCKED / "package-lock.json").read_text(encoding="utf-8")
    assert "://" not in text
    packages = json.loads(text)["packages"]
    assert all("integrity" in entry for name, entry in packages.items() if name)
    assert not any(entry.get("hasInstallScript") for entry in packages.values())


def test_a_branch_with_a_merge_request_has_no_pipeline_of_its_own(checkout: Checkout) -> None:
    rules = files()["workflow"]["rules"]
    # The first that matches counts: everything below the second is for the default branch only.
    assert rules[0]["if"] == '$CI_PIPELINE_SOURCE == "merge_request_event"'
    assert rules[1] == {"if": "$CI_COMMIT_BRANCH != $CI_DEFAULT_BRANCH", "when": "never"}
    assert checkout.jobs(PUSH | OTHER) == {}
