"""From facts, policy and the time to findings: no server is asked here."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING

from wheelyard.project.config_tokens import ROLES, DeployTokenConfig, GroupTokenConfig
from wheelyard.security.token_report import STATES, TokenFinding, TokenReport
from wheelyard.security.tokens.token_facts import anew

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from wheelyard.project.config import SiteConfig
    from wheelyard.project.config_tokens import RenewalConfig, TokenConfig
    from wheelyard.security.token_report import State
    from wheelyard.security.tokens.token_facts import Facts, Listing

_WRITE = "write_package_registry"
_LEVELS = {level: role for role, level in ROLES.items()}


def judge(config: SiteConfig, facts: Mapping[str, Facts], now: datetime) -> TokenReport:
    """Return how the tokens and renewals of the site configuration stand.

    Args:
        config: what they are meant to be.
        facts: what is known of each token, by its name.
        now: the time, in UTC: GitLab ends tokens at midnight UTC.
    """
    found: list[TokenFinding] = []
    for token in config.tokens:
        found += judge_token(token, facts[token.name], now, config.warn_days)
    found += [judge_renewal(renewal, now, config.warn_days) for renewal in config.renewals]
    state = max((finding.state for finding in found), key=STATES.index, default="ok")
    return TokenReport(checked=now, warn_days=config.warn_days, state=state, findings=tuple(found))


def judge_token(token: TokenConfig, facts: Facts, now: datetime, warn_days: int) -> Iterator[TokenFinding]:
    """Yield everything about one token: whether it lives, whether it may what it should, what is not known."""
    life = _life(token, facts, now, warn_days)
    if life:
        yield life
    if not life or life.state != "dead":
        yield from _powers(token, facts)
    for gap in facts.gaps:
        yield _finding(token, gap.state, gap.text, gap.fix, detail=gap.detail)


def judge_renewal(renewal: RenewalConfig, now: datetime, warn_days: int) -> TokenFinding:
    """Return how a dated renewal stands; whether it was done, only site configuration can tell."""
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


def _life(token: TokenConfig, facts: Facts, now: datetime, warn_days: int) -> TokenFinding | None:
    listing = facts.listing
    if facts.alive is False:
        return _refused(token, facts, now)
    if listing is None:
        return _finding(token, "ok", "GitLab accepts it") if facts.alive else None
    over = _over(listing, now)
    if over and facts.alive:
        place = facts.source or token.variable
        text = f"{over}, and yet what {place} holds works: it is another token, of unknown expiry"
        return _finding(token, "unknown", text, anew(token))
    if over:
        return _finding(token, "dead", over, anew(token), listing=listing, now=now)
    return _living(token, listing, now, warn_days)


def _living(token: TokenConfig, listing: Listing, now: datetime, warn_days: int) -> TokenFinding:
    if listing.expires is None:
        return _finding(token, "ok", f"does not expire{_namesakes(listing)}")
    days = (listing.expires.date() - now.date()).days
    text = f"expires on {listing.expires.date()}, in {_count(days)}{_namesakes(listing)}"
    if days > warn_days:
        return _finding(token, "ok", text, listing=listing, now=now)
    return _finding(token, "due", text, _renewal(token), listing=listing, now=now)


def _refused(token: TokenConfig, facts: Facts, now: datetime) -> TokenFinding:
    listing, place = facts.listing, facts.source or token.variable
    text = f"GitLab does not accept what {place} holds"
    if listing is None:
        return _finding(token, "dead", text, anew(token))
    if over := _over(listing, now):
        return _finding(token, "dead", f"{text}: it {over}", anew(token), listing=listing, now=now)
    text += ", though the token of that name lives: that is another one, or an older one"
    fix = f"put the living one into {place}; if nobody has kept it, {anew(token)}"
    return _finding(token, "dead", text, fix)


def _over(listing: Listing, now: datetime) -> str:
    """Return what ended a token, empty if it lives (app/models/concerns/expirable.rb)."""
    if listing.revoked:
        return "was revoked"
    if listing.expires is not None and listing.expires <= now:
        days = (listing.expires.date() - now.date()).days
        return f"expired on {listing.expires.date()}{_ago(days)}"
    return ""


def _powers(token: TokenConfig, facts: Facts) -> Iterator[TokenFinding]:
    """Compare what a token may do with what it is meant to do."""
    lacks: list[str] = []
    extra: list[str] = []
    if facts.listing is not None:
        lacks += sorted(token.scopes - facts.listing.scopes)
        extra += sorted(facts.listing.scopes - token.scopes)
    if isinstance(token, GroupTokenConfig):
        role = facts.listing.role if facts.listing else None
        if role is not None and role != ROLES[token.role]:
            words = f"role {_LEVELS.get(role, role)} instead of {token.role}"
            (extra if role > ROLES[token.role] else lacks).append(words)
    elif facts.writes is False and _WRITE in token.scopes and _WRITE not in lacks:
        listed = ", which GitLab lists for the token of that name" if facts.listing else ""
        lacks.append(f"{_WRITE}{listed}: an upload would be refused")
    elif facts.writes and _WRITE not in token.scopes and _WRITE not in extra:
        extra.append(f"{_WRITE}: an upload would be taken")
    if lacks:
        yield _finding(
            token,
            "under-scoped",
            f"may do less than the site configuration says, it lacks: {_join(lacks)}",
            anew(token),
        )
    if extra:
        yield _finding(
            token, "over-scoped", f"may do more than the site configuration says, it has: {_join(extra)}", anew(token)
        )


def _finding(
    token: TokenConfig,
    state: State,
    text: str,
    fix: str = "",
    *,
    detail: str = "",
    listing: Listing | None = None,
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


def _namesakes(listing: Listing) -> str:
    if not listing.namesakes:
        return ""
    return f" ({_more(listing.namesakes)} that name, and this one ends first: revoke what is not used)"


def _more(count: int) -> str:
    return "one more living token bears" if count == 1 else f"{count} more living tokens bear"
