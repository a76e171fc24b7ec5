"""Errors of many files or packages: each with its place, and all in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wheelyard.core.errors import DiskError, NetworkError, PublishError, WheelyardError

if TYPE_CHECKING:
    from collections.abc import Sequence

_EACH = "mend what each of them says, and run the same command again"


def about(where: str, error: WheelyardError) -> WheelyardError:
    """Return *error* as one of the package or file *where*: one of many, reported together."""
    text = error.what if error.where is None or error.where.endswith(where) else f"{error.where}: {error.what}"
    return type(error)(text, where=where, details=error.details, fix=error.fix)


def together(text: str, errors: Sequence[WheelyardError]) -> WheelyardError:
    """Return one error that lists all of *errors*: of their kind if that is one of this stage, else a PublishError."""
    kinds = {type(error) for error in errors}
    fixes = {error.fix for error in errors}
    lines = []
    for error in errors:
        message = "; ".join((error.what, *error.details))
        line = f"{error.where}: {message}" if error.where else message
        lines.append(line if len(fixes) == 1 or not error.fix else f"{line} ({error.fix})")
    kind = kinds.pop() if len(kinds) == 1 else PublishError
    kind = kind if issubclass(kind, (PublishError, NetworkError, DiskError)) else PublishError
    return kind(text, details=dict.fromkeys(lines), fix=(fixes.pop() if len(fixes) == 1 else None) or _EACH)
