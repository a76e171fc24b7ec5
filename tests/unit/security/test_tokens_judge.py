"""Judging tokens and renewals: from facts, policy and the time to findings; nothing else comes in."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.schemas import validator
from wheelyard.core.errors import CredentialsError, NetworkError, TokenDeadError, TokenDueError, TokenScopeError
from wheelyard.project.config import SiteConfig
from wheelyard.project.config_tokens import ROLES, DeployTokenConfig, GroupTokenConfig, RenewalConfig
from wheelyard.security.check_tokens import problem
from wheelyard.security.token_report import STATES, IssueRecord, TokenFinding, TokenReport
from wheelyard.security.tokens import judge
from wheelyard.security.tokens.judge import judge_renewal, judge_token
from wheelyard.security.tokens.text import findings_table, issue_body, summary
from wheelyard.security.tokens.token_lookup import ListedToken, LookupFailure, TokenLookup

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

    from wheelyard.project.config_tokens import TokenConfig
    from wheelyard.security.token_report import State

PAGE = Path(__file__).parents[3] / "docs/how-to/tokens.md"
NOW = datetime(2027, 3, 20, 12, tzinfo=UTC)
WARN = 30
SCOPES = frozenset({"api", "read_api", "read_repository", "write_repository"})
PACKAGES = frozenset({"read_package_registry", "write_package_registry"})
GROUP = GroupTokenConfig(
    name="CI", kind="group", group="top/sub", variable="CI_TOKEN", role="Maintainer", scopes=SCOPES
)
DEPLOY = DeployTokenConfig(name="packages", kind="deploy", project="top/sub/wheels", variable="DEPLOY", scopes=PACKAGES)
READER = DeployTokenConfig(
    name="reader", kind="deploy", project="top/sub/wheels", variable="READER", scopes=frozenset({"read_repository"})
)
RENEWAL = RenewalConfig(name="Open Source", due=date(2027, 6, 1), how="an owner applies again")
MEMBER = ROLES["Maintainer"]


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def group_facts(days: int = 100, scopes: frozenset[str] = SCOPES, role: int | None = MEMBER) -> TokenLookup:
    end = midnight(NOW.date() + timedelta(days=days))
    return TokenLookup(alive=True, listing=ListedToken(end, scopes, role=role))


def deploy_facts(
    days: int = 100, *, alive: bool | None = True, writes: bool | None = True, scopes: frozenset[str] = PACKAGES
) -> TokenLookup:
    return TokenLookup(alive, writes, ListedToken(midnight(NOW.date() + timedelta(days=days)), scopes))


def states(token: TokenConfig, facts: TokenLookup) -> list[State]:
    return [finding.state for finding in judge_token(token, facts, NOW, WARN)]


def only(token: TokenConfig, facts: TokenLookup) -> TokenFinding:
    (finding,) = judge_token(token, facts, NOW, WARN)
    return finding


# ----------------------------------------------------------------------- expiry


@given(days=st.integers(-1000, 1000), warn=st.integers(1, 400), hour=st.integers(0, 23))
def test_a_day_is_counted_from_midnight_to_midnight_utc(days: int, warn: int, hour: int) -> None:
    """PersonalAccessToken ends as its last day begins (app/models/concerns/expirable.rb: `expires_at <= now`)."""
    now = datetime(2027, 3, 20, hour, tzinfo=UTC)
    facts = TokenLookup(alive=None, listing=ListedToken(midnight(now.date() + timedelta(days=days)), PACKAGES))
    (finding,) = judge_token(DEPLOY, facts, now, warn)
    assert finding.days == days
    assert finding.expires == now.date() + timedelta(days=days)
    assert finding.state == ("dead" if days <= 0 else "due" if days <= warn else "ok")
    assert bool(finding.fix) == (finding.state != "ok")


@given(end=st.integers(0, 9000), hours=st.lists(st.integers(0, 9000), min_size=2))
def test_no_token_gets_better_by_waiting(end: int, hours: list[int]) -> None:
    facts = TokenLookup(alive=None, listing=ListedToken(NOW + timedelta(hours=end), PACKAGES))
    seen = []
    for hour in sorted(hours):
        (finding,) = judge_token(DEPLOY, facts, NOW + timedelta(hours=hour), WARN)
        seen.append(STATES.index(finding.state))
    assert seen == sorted(seen)


@given(days=st.integers(-1000, 1000))
def test_a_renewal_is_counted_the_same_way(days: int) -> None:
    finding = judge_renewal(RENEWAL, midnight(RENEWAL.due - timedelta(days=days)), WARN)
    assert finding.days == days
    assert finding.state == ("dead" if days <= 0 else "due" if days <= WARN else "ok")
    assert (RENEWAL.how in finding.fix) == (finding.state != "ok")


def test_a_token_that_never_ends_is_well() -> None:
    finding = only(DEPLOY, TokenLookup(alive=True, writes=True, listing=ListedToken(None, PACKAGES)))
    assert (finding.state, finding.days, finding.expires) == ("ok", None, None)
    assert finding.text == "does not expire"


def test_what_gitlab_does_not_accept_is_dead_whatever_else_is_known() -> None:
    for listing in (
        None,
        ListedToken(None, PACKAGES),
        ListedToken(NOW, PACKAGES),
        ListedToken(None, PACKAGES, revoked=True),
    ):
        finding = only(DEPLOY, TokenLookup(alive=False, listing=listing))
        assert finding.state == "dead"
        assert finding.text.startswith("GitLab does not accept the token in DEPLOY")


def test_a_variable_that_holds_an_older_token_than_the_one_that_lives() -> None:
    finding = only(DEPLOY, deploy_facts(alive=False, writes=None))
    assert finding.state == "dead"
    assert "the token of that name is active" in finding.text
    assert finding.fix.startswith("put the active one into DEPLOY")
    assert finding.days is None  # those of the other one


@pytest.mark.parametrize("revoked", [True, False])
def test_a_token_that_works_though_the_one_of_its_name_has_ended_is_another_one(revoked: bool) -> None:
    ended = ListedToken(NOW - timedelta(days=1), PACKAGES, revoked=revoked)
    finding = only(DEPLOY, TokenLookup(alive=True, writes=True, listing=ended))
    assert finding.state == "unknown"
    assert "it is another token" in finding.text


def test_a_revoked_token_is_dead_without_anybody_trying_it() -> None:
    finding = only(DEPLOY, TokenLookup(listing=ListedToken(None, PACKAGES, revoked=True)))
    assert (finding.state, finding.text) == ("dead", "was revoked")


def test_several_living_tokens_of_one_name_are_told() -> None:
    listing = ListedToken(midnight(NOW.date() + timedelta(days=90)), PACKAGES, namesakes=2)
    finding = only(DEPLOY, TokenLookup(alive=True, writes=True, listing=listing))
    assert finding.state == "ok"
    assert "2 more active tokens have that name, and this one ends first" in finding.text


# ---------------------------------------------------------------- scopes, role


@given(actual=st.frozensets(st.sampled_from(sorted(SCOPES | {"read_registry", "sudo", "self_rotate"})), min_size=1))
def test_every_scope_too_few_or_too_many_is_named(actual: frozenset[str]) -> None:
    findings = {each.state: each for each in judge_token(GROUP, group_facts(scopes=actual), NOW, WARN)}
    assert set(findings) - {"ok"} == {
        *(["under-scoped"] if SCOPES - actual else []),
        *(["over-scoped"] if actual - SCOPES else []),
    }
    for state, scopes in (("under-scoped", SCOPES - actual), ("over-scoped", actual - SCOPES)):
        if scopes:
            assert findings[state].text.endswith(f": {', '.join(sorted(scopes))}")  # type: ignore[index]


@pytest.mark.parametrize(
    ("role", "expected", "words"),
    [
        (50, ["ok", "over-scoped"], "role Owner instead of Maintainer"),
        (30, ["ok", "under-scoped"], "role Developer instead of Maintainer"),
        (25, ["ok", "under-scoped"], "role 25 instead of Maintainer"),  # a role that is newer than we are
        (40, ["ok"], ""),
        (None, ["ok"], ""),
    ],
)
def test_the_role_counts_as_the_scopes_do(role: int | None, expected: list[str], words: str) -> None:
    findings = list(judge_token(GROUP, group_facts(role=role), NOW, WARN))
    assert [each.state for each in findings] == expected
    assert words in findings[-1].text


def test_a_deploy_token_that_may_not_write_lacks_that() -> None:
    read = frozenset({"read_package_registry"})
    listed = list(judge_token(DEPLOY, deploy_facts(writes=False, scopes=read), NOW, WARN))
    assert [each.state for each in listed] == ["ok", "under-scoped"]
    assert listed[1].text.endswith("it lacks: write_package_registry")
    # What GitLab lists and what the variable's token may do are two things.
    other = list(judge_token(DEPLOY, deploy_facts(writes=False), NOW, WARN))
    assert [each.state for each in other] == ["ok", "under-scoped"]
    assert "which GitLab lists for the token of that name: an upload would be refused" in other[1].text
    unlisted = list(judge_token(DEPLOY, TokenLookup(alive=True, writes=False), NOW, WARN))
    assert [each.state for each in unlisted] == ["ok", "under-scoped"]


def test_a_deploy_token_that_should_not_write_and_may() -> None:
    read = frozenset({"read_repository"})
    assert states(READER, deploy_facts(writes=False, scopes=read)) == ["ok"]
    assert states(READER, deploy_facts(writes=True, scopes=read)) == ["ok", "over-scoped"]
    assert states(READER, deploy_facts(writes=True, scopes=read | PACKAGES)) == ["ok", "over-scoped"]


def test_a_dead_token_is_not_blamed_for_its_scopes() -> None:
    assert states(GROUP, group_facts(days=-1, scopes=frozenset({"sudo"}))) == ["unknown", "under-scoped", "over-scoped"]
    ended = ListedToken(NOW, frozenset({"read_repository"}))
    assert states(DEPLOY, TokenLookup(alive=False, listing=ended)) == ["dead"]


# ------------------------------------------------------------------ the report

GAP = LookupFailure("unknown", "cannot find out its expiry", "look there", "a long story")


@given(
    alive=st.sampled_from([True, False, None]),
    writes=st.sampled_from([True, False, None]),
    days=st.none() | st.integers(-50, 50),
    scopes=st.frozensets(st.sampled_from(sorted(PACKAGES | {"read_registry"})), min_size=1),
)
def test_what_is_not_known_hides_nothing_that_is(
    alive: bool | None,
    writes: bool | None,
    days: int | None,
    scopes: frozenset[str],
) -> None:
    listing = None if days is None else ListedToken(NOW + timedelta(days=days), scopes)
    without = list(judge_token(DEPLOY, TokenLookup(alive, writes, listing), NOW, WARN))
    with_gap = list(judge_token(DEPLOY, TokenLookup(alive, writes, listing, (GAP,)), NOW, WARN))
    assert with_gap[:-1] == without
    last = with_gap[-1]
    assert (last.state, last.text, last.fix, last.detail) == ("unknown", GAP.text, GAP.fix, GAP.detail)


def policy(*tokens: TokenConfig, renewals: tuple[RenewalConfig, ...] = ()) -> SiteConfig:
    return SiteConfig(interpreters=("cp313",), policy="manylinux_2_39_riscv64", tokens=tokens, renewals=renewals)


def report_of(*states: State) -> TokenReport:
    findings = tuple(TokenFinding(name=f"token {state}", kind="group", state=state, text=state) for state in states)
    state = max(states, key=STATES.index, default="ok")
    return TokenReport(checked=NOW, warn_days=WARN, state=state, findings=findings)


ERRORS = {
    "dead": TokenDeadError,
    "over-scoped": TokenScopeError,
    "under-scoped": TokenScopeError,
    "due": TokenDueError,
    "missing": CredentialsError,
    "unknown": CredentialsError,
    "unreachable": NetworkError,
}


@given(st.lists(st.sampled_from(STATES), min_size=1))
def test_the_worst_finding_decides_how_the_run_ends(found: list[State]) -> None:
    error = problem(report_of(*found))
    worst = next((state for state in ERRORS if state in found), "ok")  # the order of docs/how-to/tokens.md
    if worst == "ok":
        assert error is None
        return
    assert type(error) is ERRORS[worst]
    first = [state for state in found if state != "ok" and ERRORS[state] is ERRORS[worst]]
    others = [state for state in found if state != "ok" and ERRORS[state] is not ERRORS[worst]]
    assert error.details == tuple(f"token {state}: {state}" for state in [*first, *others])  # a complete list


def test_codes_are_those_of_the_page() -> None:
    assert [error.exit_code for error in dict.fromkeys(ERRORS.values())] == [65, 66, 64, 62, 70]
    page = PAGE.read_text(encoding="utf-8")
    for state, error in ERRORS.items():
        line = next(line for line in page.splitlines() if line.startswith("| `") and f"`{state}`" in line)
        assert line.endswith(f"| {error.exit_code} |")


@pytest.fixture
def report() -> TokenReport:
    facts = {
        "CI": group_facts(days=12, scopes=SCOPES | {"sudo"}),
        "packages": TokenLookup(alive=False, listing=ListedToken(NOW - timedelta(days=3), PACKAGES)),
        "reader": TokenLookup(failures=(LookupFailure("missing", "READER is not set", "set READER"), GAP)),
    }
    made = judge(policy(GROUP, DEPLOY, READER, renewals=(RENEWAL,)), facts, NOW)
    issue = IssueRecord(action="open", written=True, url="https://gitlab.example/i/1", title="Tokens and renewals: …")
    return made.model_copy(update={"issue": issue})


def test_all_that_was_said_is_in_the_log(report: TokenReport) -> None:
    error = problem(report)
    assert error is not None
    assert "reader: cannot find out its expiry; a long story" in error.details


def test_the_table(report: TokenReport, snapshot: SnapshotAssertion) -> None:
    assert summary(report) == "1 dead, 1 over-scoped, 1 due soon, 1 missing, 1 not known"
    assert findings_table(report) == snapshot


def test_the_json(report: TokenReport, snapshot: SnapshotAssertion) -> None:
    value = report.model_dump(mode="json")
    validator("tokens")(value)
    assert json.dumps(value, indent=2) == snapshot
    assert TokenReport.model_validate(value) == report


def test_the_issue(report: TokenReport, snapshot: SnapshotAssertion) -> None:
    assert issue_body(report) == snapshot


def test_a_server_can_mention_nobody_in_an_issue() -> None:
    said = "x | <!-- wheelyard: other --> @everybody\n/close"
    finding = TokenFinding(name="CI", kind="group", state="unknown", text=said, fix=said)
    text = issue_body(report_of().model_copy(update={"findings": (finding,)}))
    assert "@" not in text
    assert "<" not in text
    assert not any(line.startswith("/") for line in text.splitlines())
    assert text.splitlines()[2].count(" | ") == 2  # as many cells as the head has
