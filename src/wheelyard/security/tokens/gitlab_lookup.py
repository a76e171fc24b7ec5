"""What GitLab knows of tokens; nothing is changed there. One question that fails keeps no other from being asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from wheelyard.core.errors import CredentialsError, NetworkError, WheelyardError
from wheelyard.io import log
from wheelyard.io.environment_token import read_token
from wheelyard.io.server import Login, Server
from wheelyard.io.upload_body import multipart
from wheelyard.project.config_tokens import DeployTokenConfig, GroupTokenConfig
from wheelyard.registries.gitlab import gitlab_api
from wheelyard.security.tokens.token_facts import Facts, Found, Gap, Listing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wheelyard.io.http import Response
    from wheelyard.project.config_tokens import TokenConfig

_UNAUTHORIZED = 401
_ANY_USER = "wheelyard"  # GitLab looks at the token only (lib/gitlab/auth/auth_finders.rb, deploy_token_from_request)


def look_up(tokens: Sequence[TokenConfig], now: datetime, found: Mapping[str, Found | Gap | None]) -> dict[str, Facts]:
    """Return what can be known of each token, by its name.

    A group token tells of itself and its role. A deploy token tells nothing of itself: a group token above it lists
    it, and an upload without a file shows whether it lives and may write.

    Args:
        tokens: which ones.
        now: the time, in UTC.
        found: the deploy tokens by their names, or why they cannot be had; None where there is none.
    """
    groups = [token for token in tokens if isinstance(token, GroupTokenConfig)]
    facts = {token.name: _group_facts(token) for token in groups}
    for token in tokens:
        if isinstance(token, DeployTokenConfig):
            facts[token.name] = _deploy_facts(token, found[token.name], _listings(token, groups, facts, now))
    return facts


# -------------------------------------------------------------- group tokens


def _group_facts(token: GroupTokenConfig) -> Facts:
    secret = _held(token)
    if isinstance(secret, Gap):
        return Facts(gaps=(secret,))
    client = gitlab_api.client(token.url, token=secret)
    try:
        with gitlab_api.errors(token.name):
            # Any scope will do (lib/api/personal_access_tokens/self_information.rb).
            own = client.personal_access_tokens.get("self").attributes
            listing = _listing(own)
    except WheelyardError as error:
        if gitlab_api.status(error) == _UNAUTHORIZED:
            return Facts(alive=False)
        return Facts(gaps=(_gap("whether it lives", error),))
    try:
        with gitlab_api.errors(token.group):
            member = client.groups.get(token.group, lazy=True).members_all.get(int(own["user_id"])).attributes
            role = int(member["access_level"])
    except (WheelyardError, KeyError, TypeError, ValueError) as error:
        return Facts(alive=True, listing=listing, gaps=(_gap(f"its role in {token.group}", error),))
    return Facts(alive=True, listing=replace(listing, role=role))


# ------------------------------------------------------------- deploy tokens


def _above(token: DeployTokenConfig, groups: Sequence[GroupTokenConfig]) -> GroupTokenConfig | None:
    """Return the group token that may list *token*."""
    for group in groups:
        if group.url == token.url and (token.project.isdigit() or token.project.startswith(f"{group.group}/")):
            return group
    return None


def _listings(
    token: DeployTokenConfig, groups: Sequence[GroupTokenConfig], known: Mapping[str, Facts], now: datetime
) -> Listing | Gap:
    try:
        return _choose(token, _listed(token, _above(token, groups), known), now)
    except WheelyardError as error:
        return _gap("its expiry and scopes", error)


def _deploy_facts(token: DeployTokenConfig, found: Found | Gap | None, listed: Listing | Gap) -> Facts:
    listing, gaps = (None, (listed,)) if isinstance(listed, Gap) else (listed, ())
    if found is None:
        found = _not_set(token)
    if isinstance(found, Gap):
        return Facts(listing=listing, gaps=(found, *gaps))
    source = "" if found.source == f"${token.variable}" else found.source.removeprefix("$")
    try:
        if not found.declared and _is_access_token(token, found.secret):
            text = f"{token.variable} is not set, and what {source} holds is an access token"
            return Facts(listing=listing, gaps=(Gap("missing", text, _not_set(token).fix), *gaps))
        alive, writes = _probe(token, found.secret)
    except WheelyardError as error:
        return Facts(listing=listing, gaps=(*gaps, _gap("whether it lives", error)), source=source)
    return Facts(alive=alive, writes=writes, listing=listing, gaps=gaps, source=source)


def _is_access_token(token: DeployTokenConfig, secret: str) -> bool:
    """Tell whether *secret* is a living access token: those tell of themselves, and no deploy token does.

    Raises:
        WheelyardError: the answer does not tell, or none came.
    """
    try:
        with gitlab_api.errors(token.name):
            gitlab_api.client(token.url, token=secret).personal_access_tokens.get("self")
    except WheelyardError as error:
        if gitlab_api.status(error) == _UNAUTHORIZED:
            return False
        raise
    return True


def _listed(token: DeployTokenConfig, above: GroupTokenConfig | None, known: Mapping[str, Facts]) -> list[Listing]:
    """Return what a group token reads of the deploy tokens of that name (lib/api/deploy_tokens.rb).

    Raises:
        WheelyardError: nobody can list them.
    """
    if above is None:
        raise WheelyardError(
            f"no group token of the site configuration is above {token.project}",
            fix="declare one in [[tool.wheelyard.tokens]]: only it can list deploy tokens",
        )
    if not known[above.name].alive:
        kind = NetworkError if "unreachable" in {gap.state for gap in known[above.name].gaps} else WheelyardError
        raise kind(f"{above.name}, which lists it, is of no use now", fix=f"see {above.name}")
    client = gitlab_api.client(above.url, token=read_token(above.variable))
    with gitlab_api.errors(token.project):
        project = client.projects.get(token.project, lazy=True)
        entries = [each.attributes for each in project.deploytokens.list(iterator=True, per_page=100)]
    return [_listing(entry) for entry in entries if entry.get("name") == token.name]


def _choose(token: DeployTokenConfig, found: list[Listing], now: datetime) -> Listing:
    """Return the living one that ends first, since nothing tells which one is in use; else the last that lived.

    Raises:
        WheelyardError: there is none.
    """
    if not found:
        raise WheelyardError(
            f"{token.project} has no deploy token named {token.name}",
            fix="if it was made under another name, write that into [[tool.wheelyard.tokens]] name",
        )
    living = [each for each in found if not each.revoked and _end(each) > now]
    if not living:
        return max(found, key=_end)
    return replace(min(living, key=_end), namesakes=len(living) - 1)


def _end(listing: Listing) -> datetime:
    return listing.expires or datetime.max.replace(tzinfo=UTC)


def _probe(token: DeployTokenConfig, secret: str) -> tuple[bool, bool | None]:
    """Tell whether a deploy token lives, and whether it may upload, by an upload without a file.

    A GET cannot tell: on a public project whoever is not known is nobody, and may read. Before it takes a body of
    this kind, GitLab asks itself whether the sender may write (workhorse's routes; `POST …/packages/pypi/authorize`
    in lib/api/pypi_packages.rb), and only then finds that nothing was sent.

    Raises:
        WheelyardError: the answer does not tell, or none came.
    """
    base = f"{token.url}/api/v4/projects/{quote(token.project, safe='')}/packages/pypi"
    server = Server(base, Login(_ANY_USER, secret))
    for attempt in server.attempts(f"asking what {token.name} may do"):
        with attempt:
            body = multipart([("name", "wheelyard-access-check")])
            answer = attempt.take(server.send("POST", "", body, headers={"Content-Type": body.content_type}))
            return _meaning(token, answer)
    raise AssertionError("attempts() ends with an error")


def _meaning(token: DeployTokenConfig, answer: Response) -> tuple[bool, bool | None]:
    match answer.status_code:
        case 401:
            return False, None
        case 403:
            return True, False
        case 400 if "is missing" in answer.text:
            return True, True
        case 404:
            raise WheelyardError(
                f"there is no project {token.project}, or the token may not see it",
                fix="check [[tool.wheelyard.tokens]] project, and that it is this project's token",
            )
    host = urlsplit(token.url).hostname
    raise NetworkError(
        f"{host} answers {answer.status_code} to an upload without a file", fix="check [[tool.wheelyard.tokens]] url"
    )


# --------------------------------------------------------------------- words


def _listing(entry: Mapping[str, Any]) -> Listing:
    """Read what GitLab says of a token.

    Raises:
        NetworkError: it is not what GitLab says (lib/api/entities/personal_access_token.rb, deploy_token.rb).
    """
    try:
        expires = entry["expires_at"]
        end = None if expires is None else datetime.fromisoformat(expires)
        if end is not None and end.tzinfo is None:
            end = end.replace(tzinfo=UTC)
        return Listing(end, frozenset(map(str, entry["scopes"])), revoked=bool(entry.get("revoked")))
    except (KeyError, TypeError, ValueError) as error:
        raise NetworkError("the answer is not one of GitLab's", details=[log.clean(repr(error))[:200]]) from error


def _held(token: TokenConfig) -> str | Gap:
    try:
        secret = read_token(token.variable)
    except CredentialsError as error:
        return Gap("missing", error.what, error.fix or "")
    return secret or _not_set(token)


def _not_set(token: TokenConfig) -> Gap:
    fix = f"set {token.variable} in the environment: a CI/CD variable, or a secret of the repository that runs this"
    return Gap("missing", f"{token.variable} is not set", fix)


def _gap(what: str, error: Exception) -> Gap:
    if not isinstance(error, WheelyardError):
        return Gap("unreachable", f"cannot tell {what}: the answer is not one of GitLab's", "try again later")
    unreachable = isinstance(error, NetworkError)
    where = f" ({error.where})" if error.where else ""
    # What GitLab answers is part of what was found; how a connection failed is a long story.
    words = [error.what] if unreachable else [error.what, *error.details]
    return Gap(
        "unreachable" if unreachable else "unknown",
        log.redact(f"cannot tell {what}: {'; '.join(words)}{where}"),
        error.fix or "see docs/how-to/tokens.md",
        log.redact("; ".join(error.details)) if unreachable else "",
    )
