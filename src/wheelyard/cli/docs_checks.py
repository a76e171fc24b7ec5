"""``docs/reference/wheel-checks.md``, made from the rules: name, docstring, exception and fix."""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import TYPE_CHECKING

from wheelyard.checks import RULES, install_check

if TYPE_CHECKING:
    from collections.abc import Callable

FILE = "docs/reference/wheel-checks.md"

_HEAD = """\
# Wheel checks

<!-- Made from src/wheelyard/checks by `nox -s docs`; change it there. -->

```console
nox -s check -- markupsafe
```

A build runs every rule and writes `verdict.json` ([schema](schemas/verdict.schema.json)) beside the wheels. Each rule
gives one finding for a wheel; `expected-wheels` gives one for all wheels of a version. One failed finding keeps the
version out of every registry, and the exit code is 50. No rule can be switched off; an exception is a key with a value.

| rule | checks that | exception |
|---|---|---|
"""

_TAIL = """\

`installs-<python>` runs in a fresh riscv64 container, once for each interpreter of the wheel. The other rules read the
file and run nothing of it. The text of a failed finding ends with its fix. The keys are in [recipe](recipe.md) and
[site configuration](site-configuration.md).
"""


def checks_page() -> str:
    """Return the text of ``docs/reference/wheel-checks.md``."""
    rows = [_row(_rule_name(rule), rule) for rule in RULES]
    rows.append(_row("installs-<python>", install_check))
    return _HEAD + "\n".join(rows) + "\n" + _TAIL


def _row(name: str, rule: Callable[..., object]) -> str:
    proof, _, rest = inspect.cleandoc(rule.__doc__ or "").partition("\n\nException:\n")
    summary = proof.partition("\n\n")[0].removeprefix("Check that ").rstrip(".")
    summary = summary.replace("``", "`")
    exception = rest.partition("\n\n")[0].strip().replace("``", "`")
    return f"| `{name}` | {' '.join(summary.split())} | {exception or 'none'} |"


def _rule_name(rule: Callable[..., object]) -> str:
    """Return the name in a rule's findings: the first argument of its call of ``judge``."""
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(rule)))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "judge":
            return str(ast.literal_eval(node.args[0]))
    raise LookupError(f"{rule.__name__} does not call judge")
