"""Requirements (PEP 508) from outside: read, or refused as none."""

from __future__ import annotations

from packaging.requirements import InvalidRequirement, Requirement

# Characters: more than anybody writes, and fewer than the digits that int() takes, so that any version can be compared.
_LONGEST = 4000


def read_requirement(text: str) -> Requirement:
    """Return the requirement that *text* is.

    Raises:
        InvalidRequirement: it is none, or one that nobody can evaluate: too long, or nested too deeply.
    """
    if len(text) > _LONGEST:
        raise InvalidRequirement(f"it is longer than {_LONGEST} characters")
    try:
        return Requirement(text)
    except RecursionError as error:
        raise InvalidRequirement("its marker is nested too deeply") from error
