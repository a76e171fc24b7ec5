"""Count local names that say how a value came and not what it holds: ``python ci/names.py [--list] [FOLDER…]``.

Fails where they are more than 0.5 % of all names that are bound: variables, arguments, loop and comprehension targets.
CONTRIBUTING.md has the rule.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

VAGUE = frozenset(
    [
        "another",
        "anything",
        "asked",
        "done",
        "each",
        "else",
        "found",
        "given",
        "gone",
        "got",
        "had",
        "has",
        "have",
        "held",
        "here",
        "it",
        "its",
        "kept",
        "known",
        "made",
        "many",
        "mine",
        "more",
        "much",
        "one",
        "ones",
        "others",
        "our",
        "ours",
        "said",
        "same",
        "seen",
        "shown",
        "so",
        "some",
        "such",
        "taken",
        "that",
        "their",
        "theirs",
        "them",
        "then",
        "there",
        "these",
        "they",
        "thing",
        "things",
        "this",
        "those",
        "told",
        "told_of",
        "tried",
        "wanted",
        "what",
        "which",
        "who",
        "whole",
        "whose",
        "wish",
    ]
)
LIMIT = 0.005


def bindings(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield each name that is bound to a value, and its line; imports, functions and classes are no values."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name, node.lineno


def main(arguments: list[str]) -> int:
    """Print the count, and with ``--list`` each place; return 1 above the limit."""
    folders = [Path(word) for word in arguments if not word.startswith("-")] or [Path(__file__).parents[1] / "src"]
    total = 0
    vague: Counter[str] = Counter()
    for folder in folders:
        for file in sorted(folder.rglob("*.py")):
            for name, line in bindings(ast.parse(file.read_text(encoding="utf-8"))):
                total += 1
                if name.strip("_") in VAGUE:
                    vague[name] += 1
                    if "--list" in arguments:
                        print(f"{file}:{line}: {name}")
    share = vague.total() / max(total, 1)
    common = ", ".join(f"{name} {count}" for name, count in vague.most_common(12))
    print(f"{vague.total()} of {total} names ({share:.1%}) say how a value came, not what it holds: {common}")
    return 1 if share > LIMIT else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
