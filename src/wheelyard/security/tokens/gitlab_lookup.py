"""Look-ups of tokens on GitLab, which change nothing there; one that fails does not stop the others."""

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
from wheelyard.security.tokens.token_lookup import HeldToken, ListedToken, LookupFailure, TokenLookup

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wheelyard.io.http import Response
    from wheelyard.project.config_tokens import TokenConfig

_UNAUTHORIZED = 401
_ANY_USER = "wheelyard"  # GitLab looks at the token only (lib/gitlab/auth/auth_finders.rb, deploy_token_from_request)


def look_up(
    tokens: Sequence[TokenConfig], now: datetime, deploy_tokens: Mapping[str, HeldToken | LookupFailure | None]
) -> dict[str, TokenLookup]:
    """Return the look-up of each token, by its name.

    A group token has access to its own entry and role. A deploy token has not: a group token above it lists it, and an
    upload without a file shows whether it is active and may write.

    Args:
        tokens: the tokens of the site configuration.
        now: the time, in UTC.
        deploy_tokens: the deploy tokens by their names, or why they cannot be read; None where there is none.
    """
    groups = [token for token in tokens if isinstance(token, GroupTokenConfig)]
    lookups = {token.name: _group_facts(token) for token in groups}
    for token in tokens:
        if isinstance(token, DeployTokenConfig):
            lookups[token.name] = _deploy_facts(
                token, deploy_tokens[token.name], _listings(token, groups, lookups, now)
            )
    return lookups


# -------------------------------------------------------------- group tokens


def _group_facts(token: GroupTokenConfig) -> TokenLookup:
    secret = _held(token)
    if isinstance(secret, LookupFailure):
        return TokenLookup(failures=(secret,))
    client = gitlab_api.client(token.url, token=secret)
    try:
        with gitlab_api.errors(token.name):
            # Any scope will do (lib/api/personal_access_tokens/self_information.rb).
            own = client.personal_access_tokens.get("self").attributes
            listing = _listing(own)
    except WheelyardError as error:
        if gitlab_api.status(error) == _UNAUTHORIZED:
            return TokenLookup(alive=False)
        return TokenLookup(failures=(_failure("whether it is active", error),))
    try:
        with gitlab_api.errors(token.group):
            member = client.groups.get(token.group, lazy=True).members_all.get(int(own["user_id"])).attributes
            role = int(member["access_level"])
    except (WheelyardError, KeyError, TypeError, ValueError) as error:
        return TokenLookup(alive=True, listing=listing, failures=(_failure(f"its role in {token.group}", error),))
    return TokenLookup(alive=True, listing=replace(listing, role=role))


# ------------------------------------------------------------- deploy tokens


def _above(token: DeployTokenConfig, groups: Sequence[GroupTokenConfig]) -> GroupTokenConfig | None:
    """Return the group token that may list *token*."""
    for group in groups:
        if group.url == token.url and (token.project.isdigit() or token.project.startswith(f"{group.group}/")):
            return group
    return None


def _listings(
    token: DeployTokenConfig, groups: Sequence[GroupTokenConfig], lookups: Mapping[str, TokenLookup], now: datetime
) -> ListedToken | LookupFailure:
    try:
        return _choose(token, _listed(token, _above(token, groups), lookups), now)
    except WheelyardError as error:
        return _failure("its expiry and scopes", error)


def _deploy_facts(
    token: DeployTokenConfig, local_token: HeldToken | LookupFailure | None, listed: ListedToken | LookupFailure
) -> TokenLookup:
    listing, failures = (None, (listed,)) if isinstance(listed, LookupFailure) else (listed, ())
    if local_token is None:
        local_token = _not_set(token)
    if isinstance(local_token, LookupFailure):
        return TokenLookup(listing=listing, failures=(local_token, *failures))
    source = "" if local_token.source == f"${token.variable}" else local_token.source.removeprefix("$")
    try:
        if not local_token.declared and _is_access_token(token, local_token.secret):
            text = f"{token.variable} is not set, and {source} has an access token"
            return TokenLookup(
                listing=listing, failures=(LookupFailure("missing", text, _not_set(token).fix), *failures)
            )
        alive, writes = _probe(token, local_token.secret)
    except WheelyardError as error:
        return TokenLookup(
            listing=listing, failures=(*failures, _failure("whether it is active", error)), source=source
        )
    return TokenLookup(alive=alive, writes=writes, listing=listing, failures=failures, source=source)


def _is_access_token(token: DeployTokenConfig, secret: str) -> bool:
    """Return whether *secret* is an active access token: only those can read their own entry.

    Raises:
        WheelyardError: the answer is unclear, or none came.
    """
    try:
        with gitlab_api.errors(token.name):
            gitlab_api.client(token.url, token=secret).personal_access_tokens.get("self")
    except WheelyardError as error:
        if gitlab_api.status(error) == _UNAUTHORIZED:
            return False
        raise
    return True


def _listed(
    token: DeployTokenConfig, above: GroupTokenConfig | None, lookups: Mapping[str, TokenLookup]
) -> list[ListedToken]:
    """Return the deploy tokens of that name, as a group token lists them (lib/api/deploy_tokens.rb).

    Raises:
        WheelyardError: no token can list them.
    """
    if above is None:
        raise WheelyardError(
            f"no group token of the site configuration is above {token.project}",
            fix="declare one in [[tool.wheelyard.tokens]]: only it can list deploy tokens",
        )
    if not lookups[above.name].alive:
        kind = (
            NetworkError
            if "unreachable" in {failure.state for failure in lookups[above.name].failures}
            else WheelyardError
        )
        raise kind(f"{above.name}, which lists it, does not work now", fix=f"see {above.name}")
    client = gitlab_api.client(above.url, token=read_token(above.variable))
    with gitlab_api.errors(token.project):
        project = client.projects.get(token.project, lazy=True)
        entries = [entry.attributes for entry in project.deploytokens.list(iterator=True, per_page=100)]
    return [_listing(entry) for entry in entries if entry.get("name") == token.name]


def _choose(token: DeployTokenConfig, listed: list[ListedToken], now: datetime) -> ListedToken:
    """Return the active one that expires first, as GitLab does not show which one is in use; else the last one.

    Raises:
        WheelyardError: there is none.
    """
    if not listed:
        raise WheelyardError(
            f"{token.project} has no deploy token named {token.name}",
            fix="if it was made under another name, write that into [[tool.wheelyard.tokens]] name",
        )
    active = [entry for entry in listed if not entry.revoked and _end(entry) > now]
    if not active:
        return max(listed, key=_end)
    return replace(min(active, key=_end), namesakes=len(active) - 1)


def _end(listing: ListedToken) -> datetime:
    return listing.expires or datetime.max.replace(tzinfo=UTC)


def _probe(token: DeployTokenConfig, secret: str) -> tuple[bool, bool | None]:
    """Return whether a deploy token is active, and whether it may upload, by an upload without a file.

    A GET is no test: on a public project anybody may read. Before it accepts a body of this kind, GitLab checks whether
    the sender may write (workhorse's routes; `POST …/packages/pypi/authorize`
    in lib/api/pypi_packages.rb), and only then that a file is missing.

    Raises:
        WheelyardError: the answer is unclear, or none came.
    """
    base = f"{token.url}/api/v4/projects/{quote(token.project, safe='')}/packages/pypi"
    server = Server(base, Login(_ANY_USER, secret))
    for attempt in server.attempts(f"checking the rights of {token.name}"):
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


def _listing(entry: Mapping[str, Any]) -> ListedToken:
    """Return a token from GitLab's answer.

    Raises:
        NetworkError: the answer is not one of GitLab's (lib/api/entities/personal_access_token.rb, deploy_token.rb).
    """
    try:
        expires = entry["expires_at"]
        end = None if expires is None else datetime.fromisoformat(expires)
        if end is not None and end.tzinfo is None:
            end = end.replace(tzinfo=UTC)
        return ListedToken(end, frozenset(map(str, entry["scopes"])), revoked=bool(entry.get("revoked")))
    except (KeyError, TypeError, ValueError) as error:
        raise NetworkError("the answer is not one of GitLab's", details=[log.clean(repr(error))[:200]]) from error


def _held(token: TokenConfig) -> str | LookupFailure:
    try:
        secret = read_token(token.variable)
    except CredentialsError as error:
        return LookupFailure("missing", error.what, error.fix or "")
    return secret or _not_set(token)


def _not_set(token: TokenConfig) -> LookupFailure:
    fix = f"set {token.variable} in the environment: a CI/CD variable, or a secret of the repository that runs this"
    return LookupFailure("missing", f"{token.variable} is not set", fix)


def _failure(subject: str, error: Exception) -> LookupFailure:
    if not isinstance(error, WheelyardError):
        return LookupFailure(
            "unreachable", f"cannot find out {subject}: the answer is not one of GitLab's", "try again later"
        )
    unreachable = isinstance(error, NetworkError)
    where = f" ({error.where})" if error.where else ""
    # GitLab's answer is part of the text; the details of a failed connection are too long for it.
    words = [error.what] if unreachable else [error.what, *error.details]
    return LookupFailure(
        "unreachable" if unreachable else "unknown",
        log.redact(f"cannot find out {subject}: {'; '.join(words)}{where}"),
        error.fix or "see docs/how-to/tokens.md",
        log.redact("; ".join(error.details)) if unreachable else "",
    )
