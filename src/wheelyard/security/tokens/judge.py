"""Findings from look-ups, site configuration and the time: no server is asked here."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING

from wheelyard.project.config_tokens import ROLES, DeployTokenConfig, GroupTokenConfig
from wheelyard.security.token_report import STATES, TokenFinding, TokenReport
from wheelyard.security.tokens.token_lookup import anew

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from wheelyard.project.config import SiteConfig
    from wheelyard.project.config_tokens import RenewalConfig, TokenConfig
    from wheelyard.security.token_report import State
    from wheelyard.security.tokens.token_lookup import ListedToken, TokenLookup

_WRITE = "write_package_registry"
_LEVELS = {level: role for role, level in ROLES.items()}


def judge(config: SiteConfig, lookups: Mapping[str, TokenLookup], now: datetime) -> TokenReport:
    """Return the findings on the tokens and renewals of the site configuration.

    Args:
        config: the site configuration.
        lookups: the look-up of each token, by its name.
        now: the time, in UTC: tokens expire at midnight UTC.
    """
    findings: list[TokenFinding] = []
    for token in config.tokens:
        findings += judge_token(token, lookups[token.name], now, config.warn_days)
    findings += [judge_renewal(renewal, now, config.warn_days) for renewal in config.renewals]
    state = max((finding.state for finding in findings), key=STATES.index, default="ok")
    return TokenReport(checked=now, warn_days=config.warn_days, state=state, findings=tuple(findings))


def judge_token(token: TokenConfig, lookup: TokenLookup, now: datetime, warn_days: int) -> Iterator[TokenFinding]:
    """Yield the findings on one token: whether it is active, its scopes and role, and look-ups that failed."""
    life = _life(token, lookup, now, warn_days)
    if life:
        yield life
    if not life or life.state != "dead":
        yield from _powers(token, lookup)
    for failure in lookup.failures:
        yield _finding(token, failure.state, failure.text, failure.fix, detail=failure.detail)


def judge_renewal(renewal: RenewalConfig, now: datetime, warn_days: int) -> TokenFinding:
    """Return the finding on a dated renewal; its day in the site configuration moves when it is done."""
    days = (renewal.due - now.date()).days
    if now >= datetime.combine(renewal.due, time(), UTC):
        state: State = "dead"
        text = f"was due on {renewal.due}{_ago(days)}"
    else:
        state = "due" if days <= warn_days else "ok"
        text = f"is due on {renewal.due}, in {_count(days)}"
    fix = "" if state == "ok" else f"{renewal.how}; then write the next day into [[tool.wheelyard.renewals]] due"
    return TokenFinding(
        name=renewal.name, kind="renewal", state=state, text=text, fix=fix, expires=renewal.due, days=days
    )


def _life(token: TokenConfig, lookup: TokenLookup, now: datetime, warn_days: int) -> TokenFinding | None:
    listing = lookup.listing
    if lookup.alive is False:
        return _refused(token, lookup, now)
    if listing is None:
        return _finding(token, "ok", "GitLab accepts it") if lookup.alive else None
    over = _over(listing, now)
    if over and lookup.alive:
        place = lookup.source or token.variable
        text = f"{over}, yet {place} has a token that works: it is another token, of unknown expiry"
        return _finding(token, "unknown", text, anew(token))
    if over:
        return _finding(token, "dead", over, anew(token), listing=listing, now=now)
    return _living(token, listing, now, warn_days)


def _living(token: TokenConfig, listing: ListedToken, now: datetime, warn_days: int) -> TokenFinding:
    if listing.expires is None:
        return _finding(token, "ok", f"does not expire{_namesakes(listing)}")
    days = (listing.expires.date() - now.date()).days
    text = f"expires on {listing.expires.date()}, in {_count(days)}{_namesakes(listing)}"
    if days > warn_days:
        return _finding(token, "ok", text, listing=listing, now=now)
    return _finding(token, "due", text, _renewal(token), listing=listing, now=now)


def _refused(token: TokenConfig, lookup: TokenLookup, now: datetime) -> TokenFinding:
    listing, place = lookup.listing, lookup.source or token.variable
    text = f"GitLab does not accept the token in {place}"
    if listing is None:
        return _finding(token, "dead", text, anew(token))
    if over := _over(listing, now):
        return _finding(token, "dead", f"{text}: it {over}", anew(token), listing=listing, now=now)
    text += f", though the token of that name is active: {place} has another one, or an older one"
    fix = f"put the active one into {place}; if it is lost, {anew(token)}"
    return _finding(token, "dead", text, fix)


def _over(listing: ListedToken, now: datetime) -> str:
    """Return why a token is over, empty if it is active (app/models/concerns/expirable.rb)."""
    if listing.revoked:
        return "was revoked"
    if listing.expires is not None and listing.expires <= now:
        days = (listing.expires.date() - now.date()).days
        return f"expired on {listing.expires.date()}{_ago(days)}"
    return ""


def _powers(token: TokenConfig, lookup: TokenLookup) -> Iterator[TokenFinding]:
    """Yield differences between the rights of a token and those in the site configuration."""
    lacks: list[str] = []
    extra: list[str] = []
    if lookup.listing is not None:
        lacks += sorted(token.scopes - lookup.listing.scopes)
        extra += sorted(lookup.listing.scopes - token.scopes)
    if isinstance(token, GroupTokenConfig):
        role = lookup.listing.role if lookup.listing else None
        if role is not None and role != ROLES[token.role]:
            words = f"role {_LEVELS.get(role, role)} instead of {token.role}"
            (extra if role > ROLES[token.role] else lacks).append(words)
    elif lookup.writes is False and _WRITE in token.scopes and _WRITE not in lacks:
        listed = ", which GitLab lists for the token of that name" if lookup.listing else ""
        lacks.append(f"{_WRITE}{listed}: an upload would be refused")
    elif lookup.writes and _WRITE not in token.scopes and _WRITE not in extra:
        extra.append(f"{_WRITE}: an upload would be accepted")
    if lacks:
        yield _finding(
            token,
            "under-scoped",
            f"has fewer rights than in the site configuration, it lacks: {_join(lacks)}",
            anew(token),
        )
    if extra:
        yield _finding(
            token, "over-scoped", f"has more rights than in the site configuration: {_join(extra)}", anew(token)
        )


def _finding(
    token: TokenConfig,
    state: State,
    text: str,
    fix: str = "",
    *,
    detail: str = "",
    listing: ListedToken | None = None,
    now: datetime | None = None,
) -> TokenFinding:
    expires = listing.expires.date() if listing and listing.expires and not listing.revoked else None
    days = (expires - now.date()).days if expires and now else None
    return TokenFinding(
        name=token.name, kind=token.kind, state=state, text=text, detail=detail, fix=fix, expires=expires, days=days
    )


def _renewal(token: TokenConfig) -> str:
    if isinstance(token, DeployTokenConfig):
        return anew(token)
    return f"nox -s check-tokens -- --rotate {shlex.quote(token.name)}; or {anew(token)}"


def _join(words: list[str]) -> str:
    return ", ".join(words)


def _count(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"


def _ago(days: int) -> str:
    return f", {_count(-days)} ago" if days else ", today"


def _namesakes(listing: ListedToken) -> str:
    if not listing.namesakes:
        return ""
    return f" ({_more(listing.namesakes)} that name, and this one ends first: revoke what is not used)"


def _more(count: int) -> str:
    return "one more active token has" if count == 1 else f"{count} more active tokens have"
