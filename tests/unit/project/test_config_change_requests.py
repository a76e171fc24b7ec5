"""Site configuration on proposals: what it may say, and what it means."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from wheelyard.project.config_change_requests import ChangeRequestConfig

GITLAB = {"forge": "gitlab", "project": "top/sub/wheels", "variable": "TOKEN"}
GITHUB = {"forge": "github", "project": "top/wheels", "variable": "TOKEN"}


def test_what_it_means_where_it_says_little() -> None:
    gitlab, github = ChangeRequestConfig.model_validate(GITLAB), ChangeRequestConfig.model_validate(GITHUB)
    assert (gitlab.server, gitlab.address) == ("https://gitlab.com", "https://gitlab.com/top/sub/wheels.git")
    assert (github.server, github.address) == ("https://github.com", "https://github.com/top/wheels.git")
    assert (gitlab.base, gitlab.limit, gitlab.labels) == ("", 10, ("wheelyard",))
    own = ChangeRequestConfig.model_validate(GITHUB | {"url": "https://git.example.org/", "base": "release/1.x"})
    assert own.address == "https://git.example.org/top/wheels.git"
    assert ChangeRequestConfig.model_validate(GITLAB | {"project": "123", "remote": "origin"}).address == "origin"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"forge": "gitea"}, "forge"),
        ({"forge": "github"}, "owner/name"),
        ({"forge": "github", "project": "a/b", "url": "http://127.0.0.1"}, "must be https"),
        ({"project": "123"}, "remote must be named"),
        ({"url": "https://user:word@example.org"}, "must not hold a login"),
        ({"remote": "--upload-pack=x"}, "git remote"),
        ({"remote": "two words"}, "git remote"),
        ({"base": "-x"}, "name of a branch"),
        ({"base": "a..b"}, "name of a branch"),
        ({"base": "a b"}, "name of a branch"),
        ({"labels": ["a,b"]}, "comma"),
        ({"limit": 0}, "limit"),
        ({"variable": "1x"}, "variable"),
        ({"token": "x"}, "token"),
    ],
)
def test_what_it_may_not_say(more: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ChangeRequestConfig.model_validate(GITLAB | more)
