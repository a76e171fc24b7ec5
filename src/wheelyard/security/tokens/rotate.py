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
from wheelyard.security.tokens.token_lookup import anew, page

if TYPE_CHECKING:
    from datetime import date

    from wheelyard.project.config_tokens import GroupTokenConfig

LIFETIME = 364  # days: a year minus a day, the most that GitLab takes by default
_UNAUTHORIZED, _TOO_MANY = 401, 429


@dataclass(frozen=True)
class RotatedToken:
    """A token that was renewed.

    Attributes:
        name: its name in the site configuration.
        expires: the new one's last day, as GitLab has it.
        secret: the new token, which GitLab shows only now.
    """

    name: str
    expires: str
    secret: str = field(repr=False)


def rotate(token: GroupTokenConfig, secret: str, expires: date) -> RotatedToken:
    """Renew *token*: revoke the old one and return the new one.

    Args:
        token: the token in the site configuration.
        secret: the old one.
        expires: the last day of the new one; GitLab's own default would be one week.

    Raises:
        CredentialsError: GitLab does not let it renew itself; nothing has changed.
        NetworkError: no clear answer came; whether it is renewed is not known.
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
        raise _unclear(token, NetworkError("the answer has no token"))
    log.add_secret(new)
    return RotatedToken(token.name, str(answer.get("expires_at")), new)


def _must_live(token: GroupTokenConfig, secret: str) -> None:
    try:
        with gitlab_api.errors(token.name):
            gitlab_api.client(token.url, token=secret).personal_access_tokens.get("self")
    except WheelyardError as error:
        if gitlab_api.status(error) != _UNAUTHORIZED:
            raise
        raise CredentialsError(
            f"GitLab does not accept the token in {token.variable}: it is not renewed",
            where=token.name,
            details=["if it was renewed before, a second renewal would revoke the new one, too"],
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
        details=[log.redact(detail) for detail in (error.what, *error.details)],
        fix="run nox -s check-tokens, which harms nothing. If the old token is still active, nothing was renewed: "
        f"run this again. If it is dead, the new one is lost: {anew(token)}",
    )
