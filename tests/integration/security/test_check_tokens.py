"""``check-tokens`` as it is run: the real command, real variables, and a GitLab on the loopback to ask."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.gitlab import Fault, GitLab, serve
from support.pages import commands
from support.policy import SCOPES
from support.schemas import validator
from support.watch import DEPLOY_NAME, GROUP, NAME, PROJECT, Watch, in_days

ROOT = Path(__file__).parents[3]
WELL = {NAME: ["ok"], DEPLOY_NAME: ["ok"], "GitLab for Open Source": ["ok"]}


def nothing_written(watch: Watch) -> bool:
    """Whether all that was sent besides questions is the upload without a file."""
    sent = {(seen.method, seen.path.rpartition("/")[2]) for seen in watch.gitlab.requests if seen.method != "GET"}
    return sent <= {("POST", "pypi")} and not watch.gitlab.files(watch.project)


def test_all_is_well(watch: Watch) -> None:
    ended = watch.run()
    assert (ended.code, ended.states) == (0, WELL), ended.err
    assert f"expires on {in_days(200)}, in 200 days" in ended.out
    assert "To fix" not in ended.out
    assert watch.asked("POST", "/packages/pypi") == [400]
    assert nothing_written(watch)


def test_the_json_is_what_its_schema_says(watch: Watch) -> None:
    watch.use(group=watch.group_token(5, scopes=(*SCOPES, "read_registry")))
    ended = watch.run("--json")
    value = json.loads(ended.out)
    validator("tokens")(value)
    assert (ended.code, value["state"], value["issue"]) == (66, "over-scoped", None)
    assert [each["state"] for each in value["findings"]] == ["due", "over-scoped", "ok", "ok"]
    assert value["findings"][0]["days"] == 5
    assert value["findings"][0]["expires"] == in_days(5).isoformat()


def test_due_soon(watch: Watch) -> None:
    watch.use(group=watch.group_token(30))
    ended = watch.run()
    assert (ended.code, ended.states) == (64, WELL | {NAME: ["due"]})
    assert f"nox -s check-tokens -- --rotate {NAME}" in ended.out
    assert "in 30 days" in ended.err


def test_a_renewal_is_counted_without_any_server(watch: Watch) -> None:
    watch.settle("http://127.0.0.1:9", due=-3)
    watch.use(group="", deploy="")
    ended = watch.run()
    assert ended.code == 65
    assert ended.states["GitLab for Open Source"] == ["dead"]
    assert f"was due on {in_days(-3)}, 3 days ago" in ended.out
    assert "an owner of the group applies again" in ended.out


def test_an_expired_group_token(watch: Watch) -> None:
    """It cannot even advance of itself; the deploy token is tried all the same, and known to live."""
    watch.use(group=watch.group_token(0))
    ended = watch.run()
    assert ended.code == 65
    assert ended.states == WELL | {NAME: ["dead"], DEPLOY_NAME: ["ok", "unknown"]}
    assert watch.asked("GET", "/personal_access_tokens/self") == [401]
    assert f"/groups/{GROUP}/-/settings/access_tokens" in ended.out


def test_a_dead_deploy_token_on_a_public_project_shows_in_no_get(watch: Watch) -> None:
    """lib/gitlab/auth/auth_finders.rb: it is no error, it is nobody; and nobody may read what is public."""
    dead = watch.deploy_token(0)
    watch.gitlab.deploy_tokens = {dead: watch.gitlab.deploy_tokens[dead]}
    watch.use(deploy=dead)
    ended = watch.run()
    assert (ended.code, ended.states) == (65, WELL | {DEPLOY_NAME: ["dead"]})
    assert watch.asked("POST", "/packages/pypi") == [401]
    assert f"expired on {in_days(0)}, today" in ended.out


def test_a_dead_deploy_token_is_found_without_its_list(watch: Watch) -> None:
    watch.gitlab.revoke(watch.env["PUSH_WHEELS"])
    watch.use(group="")
    ended = watch.run()
    assert (ended.code, ended.states[DEPLOY_NAME]) == (65, ["dead", "unknown"])
    assert watch.asked("POST", "/packages/pypi") == [401]


def test_a_variable_with_the_token_before_the_last(watch: Watch) -> None:
    watch.gitlab.revoke(watch.env["PUSH_WHEELS"])
    watch.deploy_token(300)  # made, and not put into the variable
    ended = watch.run()
    assert (ended.code, ended.states) == (65, WELL | {DEPLOY_NAME: ["dead"]})
    assert "put the active one into PUSH_WHEELS" in ended.out


def test_of_two_living_ones_the_first_to_end_counts(watch: Watch) -> None:
    watch.deploy_token(10)
    ended = watch.run()
    assert (ended.code, ended.states) == (64, WELL | {DEPLOY_NAME: ["due"]})
    assert "one more active token has that name" in ended.out


def test_a_deploy_token_that_may_only_read(watch: Watch) -> None:
    read = watch.deploy_token(scopes=("read_package_registry",))
    watch.gitlab.deploy_tokens = {read: watch.gitlab.deploy_tokens[read]}
    watch.use(deploy=read)
    ended = watch.run()
    assert (ended.code, ended.states) == (66, WELL | {DEPLOY_NAME: ["ok", "under-scoped"]})
    assert watch.asked("POST", "/packages/pypi") == [403]
    assert "it lacks: write_package_registry" in ended.out
    assert nothing_written(watch)


def test_scopes_and_role_are_compared(watch: Watch) -> None:
    watch.use(group=watch.group_token(role="owner", scopes=("api", "read_api", "sudo")))
    ended = watch.run()
    assert ended.code == 66
    assert ended.states[NAME] == ["ok", "under-scoped", "over-scoped"]
    assert "it lacks: read_repository, write_repository" in ended.out
    assert "the site configuration: sudo, role Owner instead of Maintainer" in ended.out


def test_a_role_too_low_to_list_deploy_tokens(watch: Watch) -> None:
    watch.use(group=watch.group_token(role="developer"))
    ended = watch.run()
    assert ended.code == 66
    assert ended.states == WELL | {NAME: ["ok", "under-scoped"], DEPLOY_NAME: ["ok", "unknown"]}
    assert "role Developer instead of Maintainer" in ended.out
    assert "403" in ended.out


@pytest.mark.parametrize("value", ["", "  \n"])
def test_a_variable_that_is_not_set(watch: Watch, value: str) -> None:
    watch.use(group=value)
    ended = watch.run()
    assert ended.code == 62
    assert ended.states == WELL | {NAME: ["missing"], DEPLOY_NAME: ["ok", "unknown"]}
    assert "PYTHON_CI_GROUP_TOKEN is not set" in ended.out
    assert f"  {NAME}: set PYTHON_CI_GROUP_TOKEN in the environment" in ended.out
    watch.use(group=watch.group_token(), deploy="")
    ended = watch.run()
    assert ended.code == 62
    # Its expiry is known without it.
    assert ended.states == WELL | {DEPLOY_NAME: ["ok", "missing"]}


@pytest.mark.parametrize(
    "value", ["glpat-one glpat-two", "glpat-one\nglpat-two", "\u201cglpat-quoted\u201d", "glpat-\x7f"]
)
def test_a_variable_that_holds_no_token(watch: Watch, value: str) -> None:
    """What breaks a header must not come back in the words of whoever stumbles over it."""
    watch.use(group=value, deploy=value)
    ended = watch.run("--issues")
    assert (ended.code, watch.gitlab.requests) == (62, [])
    assert ended.states[NAME] == ["missing"]
    assert "PUSH_WHEELS does not hold one token" in ended.out
    ended = watch.run("--rotate", NAME)
    assert (ended.code, ended.out, watch.gitlab.requests) == (62, "", [])
    for word in ("one", "two", "quoted"):
        assert f"glpat-{word}" not in ended.err


def test_no_deploy_token_of_that_name(watch: Watch) -> None:
    secret = watch.gitlab.add_deploy_token(watch.project, "another", expires_at=in_days(300))
    watch.gitlab.deploy_tokens = {secret: watch.gitlab.deploy_tokens[secret]}
    watch.use(deploy=secret)
    ended = watch.run()
    assert (ended.code, ended.states[DEPLOY_NAME]) == (62, ["ok", "unknown"])
    assert f"{PROJECT} has no deploy token named {DEPLOY_NAME}" in ended.out


def test_a_deploy_token_on_the_second_page(watch: Watch) -> None:
    for number in range(130):
        watch.gitlab.add_deploy_token(watch.project, f"filler {number}")
    first = next(iter(watch.gitlab.deploy_tokens))
    watch.gitlab.deploy_tokens[first] = watch.gitlab.deploy_tokens.pop(first)
    assert watch.run().code == 0
    assert watch.asked("GET", "/deploy_tokens") == [200, 200]


def test_an_unknown_project(watch: Watch, tmp_path: Path) -> None:
    with serve(watch.gitlab) as server:
        watch.settle(server.url, project=f"{GROUP}/wheel_bilder")
        ended = watch.run()
    assert ended.code == 62
    assert ended.states == WELL | {DEPLOY_NAME: ["unknown", "unknown"]}
    assert f"there is no project {GROUP}/wheel_bilder" in ended.out


# ----------------------------------------------------------------------- faults


def test_a_server_that_is_gone(watch: Watch) -> None:
    watch.settle("http://127.0.0.1:9")
    watch.use(deploy="")
    ended = watch.run()
    assert ended.code == 62  # what is missing here can be mended here
    assert ended.states == WELL | {NAME: ["unreachable"], DEPLOY_NAME: ["missing", "unreachable"]}
    assert "127.0.0.1 cannot be reached" in ended.out


def test_the_table_has_few_words_and_all_else_is_beside_it(watch: Watch) -> None:
    watch.settle("http://127.0.0.1:9")
    ended = watch.run()
    table = ended.out.partition("\nTo fix:")[0]
    assert "Connection refused" not in ended.out
    assert max(map(len, table.splitlines())) < 160
    assert "whether it is active: 127.0.0.1 cannot be reached; HTTPConnectionPool" in ended.err
    assert ended.err.count("Connection refused") == 2  # of each token; its list is not asked for without the other
    findings = json.loads(watch.run("--json").out)["findings"]
    told = [each["detail"] for each in findings if each["state"] == "unreachable"]
    assert ["Connection refused" in detail for detail in told] == [True, False, True]
    assert not any("Connection refused" in each["text"] for each in findings)


def test_a_server_that_is_gone_is_told_soon(watch: Watch) -> None:
    watch.settle("http://127.0.0.1:9")
    started = time.monotonic()
    ended = watch.run()
    assert time.monotonic() - started < 6
    assert ended.states == WELL | {NAME: ["unreachable"], DEPLOY_NAME: ["unreachable", "unreachable"]}
    assert "3 times in a row" in ended.out


def test_a_server_that_asks_to_wait_is_waited_for(watch: Watch) -> None:
    for method, path in (("GET", "/self$"), ("GET", "/deploy_tokens$"), ("POST", "/packages/pypi$")):
        watch.gitlab.fault(Fault("status", method=method, path=path, status=429, retry_after="1", times=1))
    ended = watch.run()
    assert (ended.code, ended.states) == (0, WELL), ended.err
    assert watch.asked("GET", "/self") == [429, 200]
    assert watch.asked("POST", "/packages/pypi") == [429, 400]


def test_a_server_that_asks_to_wait_for_ever(watch: Watch) -> None:
    watch.gitlab.fault(Fault("status", path="/self$", status=429, retry_after="1"))
    ended = watch.run()
    assert (ended.code, ended.states[NAME]) == (70, ["unreachable"])
    assert "answers 429: it was asked too often" in ended.out
    assert "ask again after 1 seconds" in ended.out


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault("status", path="/members/", status=502), "answers 502"),
        (Fault("reset", path="/members/"), "cannot be reached"),
        (Fault("truncate", path="/members/", count=5), "cannot be reached"),
        (Fault("status", path="/members/", status=200), "the answer is not one of GitLab's"),
        (Fault("status", path="/members/", status=404), "cannot find out its role"),
    ],
    ids=lambda value: value.kind + str(value.status) if isinstance(value, Fault) else "",
)
def test_one_question_that_fails_keeps_no_other_from_being_asked(watch: Watch, fault: Fault, said: str) -> None:
    watch.gitlab.fault(fault)
    ended = watch.run()
    assert ended.code in {62, 70}
    state = "unknown" if fault.status == 404 else "unreachable"
    assert ended.states == WELL | {NAME: ["ok", state]}
    assert said in ended.out


@pytest.mark.parametrize("path", ["/self$", "/deploy_tokens$", "/packages/pypi$"])
def test_an_answer_that_is_none_of_gitlabs(watch: Watch, path: str) -> None:
    watch.gitlab.fault(Fault("status", path=path, status=200))
    ended = watch.run()
    assert ended.code == 70
    assert "unreachable" in ended.states[NAME if path == "/self$" else DEPLOY_NAME]


@pytest.mark.parametrize("path", ["/self$", "/deploy_tokens$", "/packages/pypi$"])
def test_no_token_follows_a_redirect(watch: Watch, path: str, tmp_path: Path) -> None:
    """requests takes only Authorization off for another host; PRIVATE-TOKEN would go along."""
    other = GitLab(tmp_path / "other")
    with serve(other) as elsewhere:
        watch.gitlab.fault(Fault("redirect", path=path, location=elsewhere.url))
        ended = watch.run()
        assert other.requests == []
    assert ended.code == 70
    assert "unreachable" in ended.states[NAME if path == "/self$" else DEPLOY_NAME]


def test_no_token_follows_a_link_to_the_next_page(watch: Watch, tmp_path: Path) -> None:
    for number in range(130):
        watch.gitlab.add_deploy_token(watch.project, f"filler {number}")
    other = GitLab(tmp_path / "other")
    with serve(other) as elsewhere:
        watch.gitlab.project_setting.external_url = elsewhere.url
        ended = watch.run()
        assert other.requests == []
    assert ended.code == 0  # a server behind a proxy may think that it has another name


def test_a_certificate_that_nobody_trusts(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    with serve(watch.gitlab, tls=True) as server:
        watch.settle(server.url)
        ended = watch.run()
        assert (ended.code, watch.gitlab.requests) == (70, [])
        assert "shows a certificate that is not trusted here" in ended.out
        assert "REQUESTS_CA_BUNDLE" in ended.out
        assert watch.run(REQUESTS_CA_BUNDLE=str(server.ca)).code == 0


# ------------------------------------------------------------------------ words


@pytest.mark.parametrize(
    "words",
    [
        ["--dry-run"],
        ["--expires", "2027-01-01"],
        ["--token-file", "file"],
        ["--rotate", NAME, "--issues"],
        ["--rotate", NAME, "--json"],
        ["--rotate", NAME, "--dry-run"],
        ["--rotate", NAME, "--expires", "soon"],
        [NAME],
    ],
    ids=" ".join,
)
def test_words_that_do_not_go_together(watch: Watch, words: list[str]) -> None:
    ended = watch.run(*words)
    assert (ended.code, ended.out, watch.gitlab.requests) == (2, "", [])
    assert ended.err.startswith("Usage: ")


def test_the_pages_commands_do_what_it_says(watch: Watch) -> None:
    """Every command of docs/how-to/tokens.md, in its order, through nox."""
    shutil.copy(ROOT / "noxfile.py", watch.root)
    (watch.root / "recipes").mkdir()
    ours = ("NOX", "CI", "GITHUB_", "GITLAB_", "FORCE_COLOR")
    env = {key: value for key, value in os.environ.items() if not key.startswith(ours)} | watch.env
    env["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    texts = [command.text for command in commands("docs/how-to/tokens.md")]
    assert len(texts) > 3
    for text in texts:
        program, *words = text.split()
        assert program == "nox"
        done = subprocess.run(
            [sys.executable, "-m", "nox", *words],
            cwd=watch.root,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout
        if "--rotate" in words:
            (env["PYTHON_CI_GROUP_TOKEN"],) = re.findall(r"(?m)^glpat-\S+$", done.stdout)
    assert watch.asked("POST", "/rotate") == [200]
    assert watch.open_issues == []


def test_a_failing_check_fails_its_session(watch: Watch) -> None:
    shutil.copy(ROOT / "noxfile.py", watch.root)
    (watch.root / "recipes").mkdir()
    watch.use(group=watch.group_token(3))
    env = dict(os.environ) | watch.env | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [sys.executable, "-m", "nox", "-s", "check-tokens"],
        cwd=watch.root,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "in 3 days" in done.stdout
