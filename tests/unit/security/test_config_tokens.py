"""Site configuration on tokens: what it may say, and what it says in this project."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.project import PYPROJECT, make_project
from wheelyard.core.errors import ConfigError
from wheelyard.io import log
from wheelyard.io.environment_token import read_token
from wheelyard.project.config import find_project
from wheelyard.project.config_tokens import DeployTokenConfig, GroupTokenConfig
from wheelyard.security.check_tokens import check_tokens, keep_issue, rotate

ROOT = Path(__file__).parents[3]
GROUP = """
[[tool.wheelyard.tokens]]
name = "CI"
kind = "group"
group = "top/sub"
variable = "CI_TOKEN"
role = "Maintainer"
scopes = ["api"]
"""
DEPLOY = """
[[tool.wheelyard.tokens]]
name = "packages"
kind = "deploy"
project = "top/sub/wheels"
variable = "DEPLOY"
scopes = ["write_package_registry"]
"""
RENEWAL = """
[[tool.wheelyard.renewals]]
name = "Open Source"
due = 2027-06-01
how = "an owner applies again"
"""


def test_the_projects_own_tokens_are_those_that_keep_it_running() -> None:
    policy = find_project(ROOT).config
    group, deploy = policy.tokens
    assert isinstance(group, GroupTokenConfig)
    assert group.role == "Maintainer"
    assert group.scopes == {"api", "read_api", "read_repository", "write_repository"}
    assert isinstance(deploy, DeployTokenConfig)
    assert deploy.scopes == {"read_package_registry", "write_package_registry"}
    assert [renewal.name for renewal in policy.renewals] == ["GitLab for Open Source"]
    assert policy.issues
    assert policy.issues.project == deploy.project


@pytest.mark.parametrize(
    ("text", "old", "new", "said"),
    [
        (GROUP, '"group"', '"person"', "tokens.0: Input tag 'person'"),
        (GROUP, "Maintainer", "Master", "tokens.0.group.role"),
        (GROUP, 'role = "Maintainer"', "", "tokens.0.group.role: Field required"),
        (GROUP, '["api"]', "[]", "tokens.0.group.scopes"),
        (GROUP, "CI_TOKEN", "CI-TOKEN", "tokens.0.group.variable"),
        (GROUP, "top/sub", "/top/", "tokens.0.group.group"),
        (GROUP, 'name = "CI"', 'name = " CI"', "tokens.0.group.name"),
        (GROUP, 'name = "CI"', 'name = "CI"\nurl = "https://me:secret@gitlab.com"', "tokens.0.group.url"),
        (DEPLOY, "write_package", "write_packages", "tokens.0.deploy.scopes"),
        (DEPLOY, 'kind = "deploy"', 'kind = "deploy"\nrole = "Owner"', "tokens.0.deploy.role: Extra inputs"),
        (GROUP + DEPLOY, '"packages"', '"CI"', "tokens: Value error, a name stands for one token only: CI"),
        (RENEWAL, "2027-06-01", '"in June"', "renewals.0.due"),
        (RENEWAL, '"an owner applies again"', '""', "renewals.0.how"),
        ("[tool.wheelyard.issues]\nproject = 'a/b'\n", "", "", "issues.variable: Field required"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, old: str, new: str, said: str) -> None:
    assert old in text
    with pytest.raises(ConfigError) as caught:
        make_project(tmp_path, pyproject=PYPROJECT + text.replace(old, new, 1))
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


def test_days_ahead_are_at_least_one(tmp_path: Path) -> None:
    text = PYPROJECT.replace("[tool.wheelyard]", "[tool.wheelyard]\nwarn-days = 0", 1)
    with pytest.raises(ConfigError, match="site configuration is not valid"):
        make_project(tmp_path, pyproject=text)


def test_nothing_to_watch_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no token and no renewal"):
        check_tokens(make_project(tmp_path))


def test_an_issue_needs_a_place(tmp_path: Path) -> None:
    project = make_project(tmp_path, pyproject=PYPROJECT + RENEWAL)
    with pytest.raises(ConfigError, match="has no forge for issues"):
        keep_issue(project, check_tokens(project), dry_run=True)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("C1", "has no token named 'C1'"),
        ("package", "did you mean 'packages'?"),
        ("packages", "is a deploy token, and GitLab has no call that renews one"),
    ],
)
def test_only_a_group_token_of_site_policy_is_renewed(tmp_path: Path, name: str, said: str) -> None:
    project = make_project(tmp_path, pyproject=PYPROJECT + GROUP + DEPLOY)
    with pytest.raises(ConfigError) as caught:
        rotate(project, name)
    assert said in str(caught.value)


def test_what_a_variable_holds_is_kept_out_of_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_NAME", " glpat-never-seen-before\n")
    assert read_token("SOME_NAME") == "glpat-never-seen-before"
    assert log.redact("it says glpat-never-seen-before") == "it says [secret]"
    assert read_token("SOME_OTHER_NAME") == ""
