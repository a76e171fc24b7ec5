"""Reports as text: JSON, and the parts that the text of several verbs share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from wheelyard.io import log

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic import BaseModel

    from wheelyard.core.errors import WheelyardError

COMMIT = "commit the change in packages/"


def as_json(value: dict[str, Any]) -> str:
    """Return *value* as JSON, in which no text is a command to GitHub's runner; see :func:`wheelyard.io.log.tame`."""
    return json.dumps(value, indent=2, ensure_ascii=False).replace("##[", "#\\u0023[")


def model(value: BaseModel) -> str:
    """Return a report as JSON."""
    return as_json(value.model_dump(mode="json", by_alias=True))


def left_out(reasons: Iterable[str]) -> list[str]:
    """Return the lines below a table for omissions, each with its reason; empty if there are none."""
    lines = [log.tame(f"  {log.clean(reason)}") for reason in reasons]
    return ["", "left out:", *lines] if lines else []


def raise_worst(problem: WheelyardError | None, failure: WheelyardError | None) -> None:
    """Raise the worse of the *problem* that a report shows and the later *failure* to publish it; log the other.

    Raises:
        WheelyardError: there is one.
    """
    if problem and failure:
        worst, other = (failure, problem) if problem.news else (problem, failure)
        log.error(str(other))
        raise worst
    if error := problem or failure:
        raise error


def raise_all(text: str, errors: Sequence[WheelyardError], *, complete: bool = True) -> None:
    """Raise one error for all *errors*, of which *text* is the summary.

    Args:
        text: the summary, behind their number.
        errors: the errors, maybe none.
        complete: whether everything else is done.

    Raises:
        WheelyardError: there is one.
    """
    if errors:
        from wheelyard.registries.registry_errors import together

        raise together(f"{len(errors)} {text}; {'all else is done' if complete else 'the rest was not tried'}", errors)
