"""``check-tokens``: findings on tokens and renewals, their issue, and renewal of a group token."""

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
from wheelyard.security.tokens.token_lookup import HeldToken, LookupFailure, anew

if TYPE_CHECKING:
    from datetime import date

    from wheelyard.project.config import Project
    from wheelyard.project.config_tokens import IssueConfig
    from wheelyard.security.token_report import State, TokenReport
    from wheelyard.security.tokens import RotatedToken

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
    """Return the findings on the tokens and renewals of the site configuration; nothing is changed anywhere.

    Raises:
        ConfigError: the site configuration has none.
    """
    config = project.config
    if not config.tokens and not config.renewals:
        raise ConfigError(
            "the site configuration has no token and no renewal",
            fix="see docs/how-to/tokens.md for [[tool.wheelyard.tokens]]",
        )
    now = datetime.now(UTC).replace(microsecond=0)
    with log.step("Looking up tokens"):
        deploy = [token for token in config.tokens if isinstance(token, DeployTokenConfig)]
        lookups = look_up(config.tokens, now, {token.name: _find(token) for token in deploy})
    return judge(config, lookups, now)


def _find(token: DeployTokenConfig) -> HeldToken | LookupFailure | None:
    """Return the deploy token that publishing uses, but never a job's token."""
    try:
        credential = find_credential(token.url, (token.variable,), jobs=False)
    except CredentialsError as error:
        return LookupFailure("missing", f"{error.where} {error.what}", error.fix or "")
    if credential is None:
        return None
    declared = credential.source in {f"${token.variable}", f"${token.variable}_FILE"}
    if credential.source != f"${token.variable}":
        log.info(f"{token.name}: found in {credential.source}")
    return HeldToken(credential.login.password, credential.source, declared)


def record_ends(project: Project, report: TokenReport) -> None:
    """Write the expiry of each token into ``docs/how-to/infrastructure.md``; lines of failed look-ups stay.

    Raises:
        ConfigError: there is no such page, or it has no table.
        DiskError: it cannot be written.
    """
    page = project.root / PAGE
    if page.is_symlink():  # it would become a file of its own
        raise ConfigError(
            "is a link, not a page", where=str(page), fix=f"make it a file with the lines {BEGIN} and {END}"
        )
    try:
        text = page.read_text(encoding="utf-8")
        changed = ends_page(text, report)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the page has no expiry table: {error}",
            where=str(page),
            fix=f"the page needs the lines {BEGIN} and {END}",
        ) from error
    if changed != text:
        files.write_text(page, changed)


def problem(report: TokenReport) -> WheelyardError | None:
    """Return the error of the worst finding, with all bad findings, the worst first; None if all is well."""
    if report.state == "ok":
        return None
    kind = _ERRORS[report.state]
    bad = sorted(
        (finding for finding in report.findings if finding.state != "ok"),
        key=lambda finding: _ERRORS[finding.state] is not kind,
    )
    return kind(
        f"tokens and renewals: {summary(report)}",
        details=[f"{finding.name}: " + "; ".join(filter(None, (finding.text, finding.detail))) for finding in bad],
        fix="see the fixes on standard output, and docs/how-to/tokens.md",
    )


# --------------------------------------------------------------------- issue


def keep_issue(project: Project, report: TokenReport, *, dry_run: bool) -> TokenReport:
    """Open, change or close the issue of *report*, and return the report with that change.

    Raises:
        ConfigError: the site configuration has no forge for issues.
        CredentialsError: there is no token, or it has no right to write issues.
        NetworkError: the forge does not answer.
    """
    config = project.config.issues
    if config is None:
        raise ConfigError(
            "the site configuration has no forge for issues", fix="add [tool.wheelyard.issues]; docs/how-to/tokens.md"
        )
    title = f"Tokens and renewals: {summary(report)}" if report.state != "ok" else ""
    forge = _forge(config, dry_run=dry_run)
    if title:
        change = forge.upsert_issue(KEY, title, issue_body(report), [config.label])
    else:
        comment = f"All tokens and renewals are well, as of {report.checked.date()}."
        change = forge.close_issue(KEY, comment, [config.label])
    issue = IssueRecord(action=change.action, written=not dry_run, url=change.url, title=title)
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


def rotate(project: Project, name: str, expires: date | None = None) -> RotatedToken:
    """Renew a group token with itself, until *expires*, by default for a year minus a day.

    Raises:
        ConfigError: the site configuration has no group token of that name, or GitLab refuses the day.
        CredentialsError: it is not in the environment, or GitLab refuses the renewal.
        NetworkError: no clear answer came.
    """
    tokens = {token.name: token for token in project.config.tokens}
    token = tokens.get(name)
    if token is None:
        raise ConfigError(
            f"the site configuration has no token named {name!r}{did_you_mean(name, tokens)}",
            fix=f"its tokens are {', '.join(sorted(tokens)) or 'none'}; see [[tool.wheelyard.tokens]]",
        )
    if isinstance(token, DeployTokenConfig):
        raise ConfigError(f"{name} is a deploy token, and GitLab has no call that renews one", fix=anew(token))
    today = datetime.now(UTC).date()
    until = expires or today + timedelta(days=LIFETIME)
    if not today < until <= today + timedelta(days=_LONGEST):
        raise ConfigError(
            f"a token cannot expire on {until}",
            fix=f"name a day from tomorrow on, within {_LONGEST} days: GitLab's limit",
        )
    secret = read_token(token.variable)
    if not secret:
        raise CredentialsError(
            f"{token.variable} is not set: a token renews itself, with itself", fix=f"set {token.variable}"
        )
    with log.step(f"Renewing {name} until {until}"):
        return rotate_token(token, secret, until)
