"""Renewing a group token by itself: one request, sent once.

GitLab ends the old token as it makes the new one. A token that has ended and asks for renewal all the same looks
stolen: the whole family ends, the new one included (lib/gitlab/auth/auth_finders.rb, revoke_token_family). So a
token is asked first whether it lives, which harms nothing, and nothing is ever sent twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wheelyard.core.errors import CredentialsError, NetworkError, WheelyardError
from wheelyard.io import log
from wheelyard.registries.gitlab import gitlab_api
from wheelyard.security.tokens.token_facts import anew, page

if TYPE_CHECKING:
    from datetime import date

    from wheelyard.project.config_tokens import GroupTokenConfig

LIFETIME = 364  # days: a year minus a day, the most that GitLab takes by default
_UNAUTHORIZED, _TOO_MANY = 401, 429


@dataclass(frozen=True)
class Rotated:
    """A token that was renewed.

    Attributes:
        name: as the site configuration calls it.
        expires: the new one's last day, as GitLab says it.
        secret: the new token, which GitLab tells only now.
    """

    name: str
    expires: str
    secret: str = field(repr=False)


def rotate(token: GroupTokenConfig, secret: str, expires: date) -> Rotated:
    """Renew *token*: end the one that we hold, and return the one that takes its place.

    Args:
        token: which one, by the site configuration.
        secret: the one that we hold.
        expires: the last day of the new one; GitLab's own default would be one week.

    Raises:
        CredentialsError: GitLab does not let it renew itself; nothing has changed.
        NetworkError: no clear answer came; whether it is renewed, people have to look up.
    """
    client = gitlab_api.client(token.url, token=secret, retries=0)
    _must_live(token, secret)
    try:
        with gitlab_api.errors(token.name):
            tokens = client.groups.get(token.group, lazy=True).access_tokens
            answer = tokens.rotate("self", expires_at=expires.isoformat())
    except NetworkError as error:
        if gitlab_api.status(error) == _TOO_MANY:
            raise
        raise _unclear(token, error) from error
    except WheelyardError as error:
        raise _refused(token, error) from error
    new = answer.get("token") if isinstance(answer, dict) else None
    if not isinstance(new, str) or not new:
        raise _unclear(token, NetworkError("the answer holds no token"))
    log.add_secret(new)
    return Rotated(token.name, str(answer.get("expires_at")), new)


def _must_live(token: GroupTokenConfig, secret: str) -> None:
    try:
        with gitlab_api.errors(token.name):
            gitlab_api.client(token.url, token=secret).personal_access_tokens.get("self")
    except WheelyardError as error:
        if gitlab_api.status(error) != _UNAUTHORIZED:
            raise
        raise CredentialsError(
            f"GitLab does not accept what {token.variable} holds: it is not sent for renewal",
            where=token.name,
            details=["had it been renewed before, asking once more would end the new one, too"],
            fix=f"if it was renewed before, put the new one into {token.variable}; else {anew(token)}",
        ) from error


def _refused(token: GroupTokenConfig, error: WheelyardError) -> CredentialsError:
    return CredentialsError(
        "GitLab does not let this token renew itself; nothing has changed",
        where=token.name,
        details=error.details or [error.what],
        fix=f"an Owner of {token.group} renews it at {page(token)}, and puts the new one into {token.variable}",
    )


def _unclear(token: GroupTokenConfig, error: NetworkError) -> NetworkError:
    return NetworkError(
        "no clear answer came: whether the token is renewed is not known",
        where=token.name,
        details=[log.redact(said) for said in (error.what, *error.details)],
        fix="run nox -s check-tokens, which harms nothing. If the old token still lives, nothing was renewed: "
        f"run this again. If it is dead, the new one is lost: {anew(token)}",
    )
