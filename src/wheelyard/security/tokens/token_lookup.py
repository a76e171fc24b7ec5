"""The result of looking up a token."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from wheelyard.project.config_tokens import GroupTokenConfig

if TYPE_CHECKING:
    from datetime import datetime

    from wheelyard.project.config_tokens import TokenConfig


@dataclass(frozen=True)
class ListedToken:
    """A token as GitLab lists it.

    Attributes:
        expires: when it expires, in UTC; None for never.
        scopes: its scopes.
        revoked: whether it is revoked.
        role: its access level in its group (lib/gitlab/access.rb); None without one, or without an answer.
        namesakes: the number of other active tokens of its name.
    """

    expires: datetime | None
    scopes: frozenset[str]
    revoked: bool = False
    role: int | None = None
    namesakes: int = 0


@dataclass(frozen=True)
class LookupFailure:
    """A look-up that failed, with its fix and the details of the error."""

    state: Literal["missing", "unknown", "unreachable"]
    text: str
    fix: str
    detail: str = ""


@dataclass(frozen=True)
class HeldToken:
    """A token in our hands, and its place.

    Attributes:
        secret: the token; never shown.
        source: its place, for people.
        declared: whether that place is for this token alone; else it may be any token that the server accepts.
    """

    secret: str = field(repr=False)
    source: str
    declared: bool


@dataclass(frozen=True)
class TokenLookup:
    """The result of looking up one token.

    Attributes:
        alive: whether the server accepts it; None without an answer.
        writes: whether it may upload packages; None without an answer.
        listing: the token of that name as GitLab lists it; None without an answer.
        failures: look-ups that failed.
        source: the place of the token, if not its variable.
    """

    alive: bool | None = None
    writes: bool | None = None
    listing: ListedToken | None = None
    failures: tuple[LookupFailure, ...] = ()
    source: str = ""


def page(token: TokenConfig) -> str:
    """Return the address of the page on which people renew *token*."""
    if isinstance(token, GroupTokenConfig):
        return f"{token.url}/groups/{token.group}/-/settings/access_tokens"
    return f"{token.url}/{token.project}/-/settings/repository"


def anew(token: TokenConfig) -> str:
    """Return instructions to replace *token* by a new one."""
    scopes = ", ".join(sorted(token.scopes))
    if isinstance(token, GroupTokenConfig):
        instruction = (
            f"an Owner of {token.group} makes a new one with role {token.role} and scopes {scopes} at {page(token)}"
        )
        return f"{instruction}, and puts it into {token.variable} wherever that is kept"
    instruction = (
        f"a Maintainer of {token.project} makes a new one named {token.name} with scopes {scopes} at {page(token)}"
    )
    return (
        f"{instruction} (Deploy tokens), puts it into {token.variable} wherever that is kept, and revokes the old one"
    )
