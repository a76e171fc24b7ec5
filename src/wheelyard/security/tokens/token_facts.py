"""What can be known of a token, and what could not be found out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from wheelyard.project.config_tokens import GroupTokenConfig

if TYPE_CHECKING:
    from datetime import datetime

    from wheelyard.project.config_tokens import TokenConfig


@dataclass(frozen=True)
class Listing:
    """What GitLab says of a token.

    Attributes:
        expires: when it ends, in UTC; None for never.
        scopes: what it may do.
        revoked: whether somebody ended it.
        role: its access level in its group (lib/gitlab/access.rb); None where it has none, or nobody could tell.
        namesakes: how many more living tokens bear its name.
    """

    expires: datetime | None
    scopes: frozenset[str]
    revoked: bool = False
    role: int | None = None
    namesakes: int = 0


@dataclass(frozen=True)
class Gap:
    """Something that could not be found out, what would help, and all that was said of it."""

    state: Literal["missing", "unknown", "unreachable"]
    text: str
    fix: str
    detail: str = ""


@dataclass(frozen=True)
class Found:
    """A token, and where it was found.

    Attributes:
        secret: the token; never shown.
        source: where it was found, for people.
        declared: whether that is the place of this very token; else it may be any that the server takes.
    """

    secret: str = field(repr=False)
    source: str
    declared: bool


@dataclass(frozen=True)
class Facts:
    """What is known of one token.

    Attributes:
        alive: whether the server accepts the token that was found; None if nobody could tell.
        writes: whether it may upload packages; None if nobody asked, or could tell.
        listing: what GitLab says of the token of that name; None if nobody could tell.
        gaps: what could not be found out.
        source: where the token was found, if not in its variable.
    """

    alive: bool | None = None
    writes: bool | None = None
    listing: Listing | None = None
    gaps: tuple[Gap, ...] = ()
    source: str = ""


def page(token: TokenConfig) -> str:
    """Return the address of the page on which people renew *token*."""
    if isinstance(token, GroupTokenConfig):
        return f"{token.url}/groups/{token.group}/-/settings/access_tokens"
    return f"{token.url}/{token.project}/-/settings/repository"


def anew(token: TokenConfig) -> str:
    """Return how people replace *token* by a new one."""
    scopes = ", ".join(sorted(token.scopes))
    if isinstance(token, GroupTokenConfig):
        made = f"an Owner of {token.group} makes a new one with role {token.role} and scopes {scopes} at {page(token)}"
        return f"{made}, and puts it into {token.variable} wherever that is kept"
    made = f"a Maintainer of {token.project} makes a new one named {token.name} with scopes {scopes} at {page(token)}"
    return f"{made} (Deploy tokens), puts it into {token.variable} wherever that is kept, and revokes the old one"
