"""``check-tokens``: how tokens and renewals stand, the issue that tells of it, and renewing the group token."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from wheelyard.core.errors import (
    ConfigError,
    CredentialsError,
    NetworkError,
    TokenDeadError,
    TokenDueError,
    TokenScopeError,
    WheelyardError,
)
from wheelyard.core.names import did_you_mean
from wheelyard.forges import GitLabIssues
from wheelyard.io import files, log
from wheelyard.io.environment_token import read_token
from wheelyard.project.config_tokens import DeployTokenConfig
from wheelyard.records.expiry_table import BEGIN, END, PAGE
from wheelyard.registries import find_credential
from wheelyard.security.token_report import IssueRecord
from wheelyard.security.tokens import judge, look_up
from wheelyard.security.tokens import rotate as rotate_token
from wheelyard.security.tokens.rotate import LIFETIME
from wheelyard.security.tokens.text import ends_page, issue_body, summary
from wheelyard.security.tokens.token_facts import Found, Gap, anew

if TYPE_CHECKING:
    from datetime import date

    from wheelyard.project.config import Project
    from wheelyard.project.config_tokens import IssueConfig
    from wheelyard.security.token_report import State, TokenReport
    from wheelyard.security.tokens import Rotated

KEY = "tokens"
_LONGEST = 365  # days that GitLab lets a token live (PersonalAccessToken, MAX_PERSONAL_ACCESS_TOKEN_LIFETIME_IN_DAYS)
_ERRORS: dict[State, type[WheelyardError]] = {
    "dead": TokenDeadError,
    "over-scoped": TokenScopeError,
    "under-scoped": TokenScopeError,
    "due": TokenDueError,
    "missing": CredentialsError,
    "unknown": CredentialsError,
    "unreachable": NetworkError,
}


def check_tokens(project: Project) -> TokenReport:
    """Return how the tokens and renewals of the site configuration stand; nothing is changed anywhere.

    Raises:
        ConfigError: site configuration names none.
    """
    config = project.config
    if not config.tokens and not config.renewals:
        raise ConfigError(
            "site configuration names no token and no renewal to watch",
            fix="see docs/how-to/tokens.md for [[tool.wheelyard.tokens]]",
        )
    now = datetime.now(UTC).replace(microsecond=0)
    with log.step("Asking about tokens"):
        deploy = [token for token in config.tokens if isinstance(token, DeployTokenConfig)]
        facts = look_up(config.tokens, now, {token.name: _find(token) for token in deploy})
    return judge(config, facts, now)


def _find(token: DeployTokenConfig) -> Found | Gap | None:
    """Look for a deploy token where publishing does, but for a job's token, which is never one."""
    try:
        found = find_credential(token.url, (token.variable,), jobs=False)
    except CredentialsError as error:
        return Gap("missing", f"{error.where} {error.what}", error.fix or "")
    if found is None:
        return None
    declared = found.source in {f"${token.variable}", f"${token.variable}_FILE"}
    if found.source != f"${token.variable}":
        log.info(f"{token.name}: found in {found.source}")
    return Found(found.login.password, found.source, declared)


def record_ends(project: Project, report: TokenReport) -> None:
    """Write into ``docs/how-to/infrastructure.md`` when what was seen ends; of what was not seen, its line stays.

    Raises:
        ConfigError: there is no such page, or no place for it.
        DiskError: it cannot be written.
    """
    page = project.root / PAGE
    if page.is_symlink():  # it would become a file of its own
        raise ConfigError(
            "is a link, and no page", where=str(page), fix=f"make it a file with the lines {BEGIN} and {END}"
        )
    try:
        text = page.read_text(encoding="utf-8")
        changed = ends_page(text, report)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"there is no place for when tokens end: {error}",
            where=str(page),
            fix=f"the page needs the lines {BEGIN} and {END}",
        ) from error
    if changed != text:
        files.write_text(page, changed)


def problem(report: TokenReport) -> WheelyardError | None:
    """Return the error that the worst finding is, with all that is not well, the worst first; None if all is well."""
    if report.state == "ok":
        return None
    kind = _ERRORS[report.state]
    bad = sorted(
        (each for each in report.findings if each.state != "ok"), key=lambda each: _ERRORS[each.state] is not kind
    )
    return kind(
        f"tokens and renewals: {summary(report)}",
        details=[f"{each.name}: " + "; ".join(filter(None, (each.text, each.detail))) for each in bad],
        fix="see the fixes on standard output, and docs/how-to/tokens.md",
    )


# --------------------------------------------------------------------- issue


def keep_issue(project: Project, report: TokenReport, *, dry_run: bool) -> TokenReport:
    """Open, change or close the issue that tells of *report*, and return the report with what became of it.

    Raises:
        ConfigError: site configuration does not say where issues go.
        CredentialsError: there is no token to write it with, or it may not.
        NetworkError: the forge does not answer.
    """
    config = project.config.issues
    if config is None:
        raise ConfigError(
            "site configuration does not say where issues go", fix="add [tool.wheelyard.issues]; docs/how-to/tokens.md"
        )
    title = f"Tokens and renewals: {summary(report)}" if report.state != "ok" else ""
    forge = _forge(config, dry_run=dry_run)
    if title:
        change = forge.upsert_issue(KEY, title, issue_body(report), [config.label])
    else:
        comment = f"All tokens and renewals are well, as of {report.checked.date()}."
        change = forge.close_issue(KEY, comment, [config.label])
    issue = IssueRecord(action=change.action, done=not dry_run, url=change.url, title=title)
    return report.model_copy(update={"issue": issue})


def _forge(config: IssueConfig, *, dry_run: bool) -> GitLabIssues:
    token = read_token(config.variable)
    if not token:
        raise CredentialsError(
            f"{config.variable} is not set: the issue cannot be written",
            fix=f"set {config.variable} to a token that may write issues in {config.project}",
        )
    return GitLabIssues(config.url, config.project, token, dry_run=dry_run)


# -------------------------------------------------------------------- rotate


def rotate(project: Project, name: str, expires: date | None = None) -> Rotated:
    """Renew a group token by itself, until *expires*, by default for a year minus a day.

    Raises:
        ConfigError: site configuration has no group token of that name, or GitLab would not take the day.
        CredentialsError: it is not in the environment, or GitLab does not let it renew itself.
        NetworkError: no clear answer came.
    """
    tokens = {token.name: token for token in project.config.tokens}
    token = tokens.get(name)
    if token is None:
        raise ConfigError(
            f"site configuration has no token named {name!r}{did_you_mean(name, tokens)}",
            fix=f"known are {', '.join(sorted(tokens)) or 'none'}; see [[tool.wheelyard.tokens]]",
        )
    if isinstance(token, DeployTokenConfig):
        raise ConfigError(f"{name} is a deploy token, and GitLab has no call that renews one", fix=anew(token))
    today = datetime.now(UTC).date()
    until = expires or today + timedelta(days=LIFETIME)
    if not today < until <= today + timedelta(days=_LONGEST):
        raise ConfigError(
            f"a token cannot end on {until}", fix=f"name a day from tomorrow on, within {_LONGEST} days: GitLab's limit"
        )
    secret = read_token(token.variable)
    if not secret:
        raise CredentialsError(
            f"{token.variable} is not set: a token renews itself, with itself", fix=f"set {token.variable}"
        )
    with log.step(f"Renewing {name} until {until}"):
        return rotate_token(token, secret, until)
