"""The reference of wheel checks: a line for each rule, and keys that exist."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from support.wheels import WheelSpec
from wheelyard import checks
from wheelyard.cli.docs_checks import checks_page
from wheelyard.core.tags import Interpreter
from wheelyard.core.values import ExpectedWheel
from wheelyard.project.config import find_project
from wheelyard.project.recipe import Check, Settings

if TYPE_CHECKING:
    from pathlib import Path

ROWS = re.findall(r"(?m)^\| `([^`]+)` \| (.+) \| (.+) \|$", checks_page())


def test_every_finding_of_a_wheel_has_its_line(tmp_path: Path) -> None:
    spec = WheelSpec()
    wheel = spec.write(tmp_path)
    expected = ExpectedWheel(
        name="demo", version="1.0", python="cp313", abi="cp313", interpreters=(Interpreter.parse("cp313"),)
    )
    verdict = checks.check_wheels([wheel], [expected], find_project().config, Check.model_validate({}))
    rules = {finding.rule for finding in (*verdict.overall, *verdict.wheels[0].findings)}
    assert len(rules) > 12
    assert rules <= {name for name, _, _ in ROWS}
    assert len(ROWS) == len(checks.RULES) + 1


@pytest.mark.parametrize(("name", "proof", "exception"), ROWS)
def test_a_line_is_whole(name: str, proof: str, exception: str) -> None:
    assert not proof.startswith(("Check", "Return"))
    if exception != "none":
        keys = set(Settings.model_json_schema(by_alias=True)["$defs"]["Check"]["properties"])
        keys |= set(Settings.model_json_schema(by_alias=True)["$defs"]["Expect"]["properties"])
        keys |= {field.alias or key for key, field in type(find_project().config).model_fields.items()}
        for key in re.findall(r"`(?:\[\w+\] )?([\w-]+)`", exception):
            assert key in keys, name
