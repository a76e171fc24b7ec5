"""``check-tokens`` finds a deploy token where publishing does, and takes no other token for it."""

from __future__ import annotations

import pytest

from support.watch import DEPLOY_NAME, GROUP, NAME, Watch, in_days

WELL = {NAME: ["ok"], DEPLOY_NAME: ["ok"], "GitLab for Open Source": ["ok"]}
PLACES = ("file", "python-gitlab", "python-gitlab's own", "netrc")


def put(watch: Watch, place: str, token: str) -> str:
    """Move the deploy token out of its variable, and return what the place is called."""
    watch.use(deploy="")
    match place:
        case "file":
            (watch.home / "kept").write_text(f"{token}\n")
            watch.env["PUSH_WHEELS_FILE"] = str(watch.home / "kept")
            return "$PUSH_WHEELS_FILE"
        case "netrc":
            (watch.home / ".netrc").write_text(f"machine 127.0.0.1 login ann password {token}\n")
            (watch.home / ".netrc").chmod(0o600)
            return str(watch.home / ".netrc")
        case "python-gitlab":
            file = watch.home / "another.cfg"
            watch.env["PYTHON_GITLAB_CFG"] = str(file)
        case _:
            file = watch.home / ".python-gitlab.cfg"
    file.write_text(f"[rise]\nurl = {watch.url}\nhttp_username = ann\nhttp_password = {token}\n")
    return f"{file} [rise]"


def seen_nowhere(watch: Watch, token: str, *texts: str) -> None:
    assert not [text for text in texts if token in text]
    assert watch.gitlab.files(watch.project) == []


@pytest.mark.parametrize("place", PLACES)
def test_a_token_is_found_where_publishing_finds_it(watch: Watch, place: str) -> None:
    token = watch.env["PUSH_WHEELS"]
    where = put(watch, place, token)
    ended = watch.run()
    assert (ended.code, ended.states) == (0, WELL), ended.out
    assert f"{DEPLOY_NAME}: found in {where}" in ended.err
    assert watch.asked("POST", "/packages/pypi") == [400]
    seen_nowhere(watch, token, ended.out, ended.err)


@pytest.mark.parametrize("place", PLACES)
def test_a_token_that_may_only_read_is_found_out_there(watch: Watch, place: str) -> None:
    watch.gitlab.deploy_tokens.clear()
    put(watch, place, watch.deploy_token(scopes=("read_package_registry",)))
    ended = watch.run()
    assert (ended.code, ended.states) == (66, WELL | {DEPLOY_NAME: ["ok", "under-scoped"]})
    assert watch.asked("POST", "/packages/pypi") == [403]


@pytest.mark.parametrize("place", PLACES)
def test_a_dead_token_is_told_with_its_place(watch: Watch, place: str) -> None:
    watch.gitlab.revoke(watch.env["PUSH_WHEELS"])
    where = put(watch, place, watch.env["PUSH_WHEELS"]).removeprefix("$")
    watch.deploy_token(300)
    ended = watch.run()
    assert (ended.code, ended.states) == (65, WELL | {DEPLOY_NAME: ["dead"]})
    assert f"GitLab does not accept the token in {where}" in ended.out


def test_the_variable_counts_first(watch: Watch) -> None:
    token = watch.env["PUSH_WHEELS"]
    put(watch, "netrc", "gldt-nobody-knows-this-one")
    watch.use(deploy=token)
    ended = watch.run()
    assert (ended.code, ended.states) == (0, WELL)
    assert "found in" not in ended.err


@pytest.mark.parametrize("place", ["netrc", "python-gitlab"])
def test_an_access_token_is_not_taken_for_it(watch: Watch, place: str) -> None:
    """It may upload: but what policy declares is another one, and that one is not there."""
    user = watch.gitlab.add_user("ann")
    watch.gitlab.add_member(watch.project, user, "maintainer")
    token = watch.gitlab.add_pat(user, scopes=("api",), expires_at=in_days(300))
    where = put(watch, place, token)
    ended = watch.run()
    assert (ended.code, ended.states) == (62, WELL | {DEPLOY_NAME: ["ok", "missing"]})
    assert f"PUSH_WHEELS is not set, and {where} has an access token" in ended.out
    assert watch.asked("POST", "/packages/pypi") == []
    seen_nowhere(watch, token, ended.out, ended.err)


@pytest.mark.parametrize("place", ["$CI_JOB_TOKEN", "job_token"])
def test_a_jobs_token_is_not_taken_for_it(watch: Watch, place: str) -> None:
    user = watch.gitlab.add_user("ann")
    watch.gitlab.add_member(watch.project, user, "maintainer")
    token = watch.gitlab.add_job_token(watch.project, user)
    watch.use(deploy="")
    if place == "job_token":
        (watch.home / ".python-gitlab.cfg").write_text(f"[rise]\nurl = {watch.url}\njob_token = {token}\n")
    else:
        watch.env |= {"CI_JOB_TOKEN": token, "CI_SERVER_URL": watch.url}
    ended = watch.run()
    assert (ended.code, ended.states) == (62, WELL | {DEPLOY_NAME: ["ok", "missing"]})
    assert "PUSH_WHEELS is not set" in ended.out
    assert watch.asked("POST", "/packages/pypi") == []
    # It does not hide what lies behind it either.
    watch.env.pop("PUSH_WHEELS")
    put(watch, "netrc", watch.deploy_token())
    assert watch.run().states == WELL


def test_a_place_that_cannot_be_read_keeps_no_other_token_from_being_looked_at(watch: Watch) -> None:
    watch.use(deploy="")
    watch.env["PUSH_WHEELS_FILE"] = str(watch.home / "gone")
    ended = watch.run()
    assert (ended.code, ended.states) == (62, WELL | {DEPLOY_NAME: ["ok", "missing"]})
    assert f"$PUSH_WHEELS_FILE {watch.home / 'gone'} cannot be read" in ended.out


def test_a_persons_token_is_never_taken_for_the_groups(watch: Watch) -> None:
    """Nor renewed in its place."""
    user = watch.gitlab.add_user("ann")
    group = watch.gitlab.group(GROUP)
    assert group
    watch.gitlab.add_member(group, user, "maintainer")
    token = watch.gitlab.add_pat(user, scopes=("api",), expires_at=in_days(300))
    (watch.home / ".python-gitlab.cfg").write_text(f"[rise]\nurl = {watch.url}\nprivate_token = {token}\n")
    watch.use(group="")
    ended = watch.run()
    assert (ended.code, ended.states[NAME]) == (62, ["missing"])
    ended = watch.run("--rotate", NAME)
    assert (ended.code, ended.out) == (62, "")
    assert watch.asked("POST", "/rotate") == []
