"""Check a commit message: ``python ci/commit_msg.py FILE``. Git calls it before each commit after ``nox -s hooks``.

The subject is ``area: imperative summary``, at most 72 characters; an empty line separates it from the body.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

LIMIT = 72
_SUBJECT = re.compile(r"(?P<area>[\w.][\w./ -]*): (?P<verb>[A-Za-z][\w-]*)(?P<rest> .+)?")
# Git and the forges write these subjects.
_GENERATED = re.compile(r"(Merge|Revert|fixup!|squash!|amend!) ")
# Not an imperative: "added", "adding", "adds". Verbs that only look like one are listed.
_INFLECTED = re.compile(r"\w+(ed|ing|[^su]s)")
_IMPERATIVE = {"bring", "embed", "exceed", "feed", "need", "proceed", "seed", "shed", "speed", "string"}


def problems(message: str) -> list[str]:
    """Return what is wrong with a commit message, a line each."""
    lines = [
        line for line in message.split("\n# ------------------------ >8", maxsplit=1)[0].splitlines() if line[:1] != "#"
    ]
    subject = lines[0] if lines else ""
    if _GENERATED.match(subject):
        return []
    match = _SUBJECT.fullmatch(subject)
    if match is None:
        return [f"the subject is not 'area: summary': {subject!r}"]
    result = []
    if len(subject) > LIMIT:
        result.append(f"the subject has {len(subject)} characters, the limit is {LIMIT}")
    verb = match["verb"]
    if _INFLECTED.fullmatch(verb.lower()) and verb.lower() not in _IMPERATIVE:
        result.append(f"the summary does not begin with an imperative verb: {verb!r}")
    if subject.endswith("."):
        result.append("the subject ends with a full stop")
    if len(lines) > 1 and lines[1].strip():
        result.append("the second line is not empty")
    return result


def main(arguments: list[str]) -> int:
    """Print each problem of the message in a file; return 1 if there is any."""
    lines = problems(Path(arguments[0]).read_text(encoding="utf-8"))
    for line in lines:
        print(f"commit message: {line}")
    if lines:
        print("  fix: write it like 'checks: refuse wheels without a licence file'; CONTRIBUTING.md has the rule")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
