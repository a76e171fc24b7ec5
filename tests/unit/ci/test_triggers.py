"""What descriptions ask to build: anybody writes them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelyard.ci.triggers import LONGEST, read
from wheelyard.core.errors import PlanError, UnknownPackageError, UnknownVersionError
from wheelyard.planning.package_words import pairs, read_file

if TYPE_CHECKING:
    from pathlib import Path

KNOWN = ("cffi", "markupsafe", "ruamel-yaml-clib")


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("Trigger: cffi:2.0.0", ["cffi==2.0.0"]),
        (
            "An update.\r\n\r\ntrigger :  CFFI : 2.0.0  \r\nTrigger: MarkupSafe:3.0.3\r\n",
            ["cffi==2.0.0", "markupsafe==3.0.3"],
        ),
        ("Trigger: cffi:2.0.0\nTrigger: cffi:v2.0.0", ["cffi==2.0.0"]),
        ("- Trigger: Ruamel.Yaml_clib:0.2.14", ["ruamel-yaml-clib==0.2.14"]),
        ("We trigger: nothing here", []),
        ("<!-- for example:\nTrigger: cffi:1.0\n-->\nTrigger: cffi:2.0", ["cffi==2.0"]),
        ("<!-- never closed\nTrigger: cffi:1.0", []),
        ("", []),
    ],
)
def test_what_is_asked_for(body: str, wanted: list[str]) -> None:
    assert read(body, KNOWN) == (tuple(wanted), ())


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("Trigger: cfi:1.0", "did you mean 'cffi'?"),
        ("Trigger: cffi", "no package:version"),
        ("Trigger: cffi:", "no package:version"),
        ("Trigger: cffi:latest", "not a version"),
        ("Trigger: cffi:1.0;id", "not a version"),
        ("Trigger: cffi:$(id)", "not a version"),
        ("Trigger: ../../etc:1.0", "not a package name"),
        (f"Trigger: cffi:{'1.' * 200}0", "no package:version"),
        (f"Trigger: cffi:{'9' * 120}", "not a version"),
        ("Trigger: cffi:٣.0", "not a version"),
    ],
)
def test_what_nobody_can_mean_is_told_with_its_line(line: str, says: str) -> None:
    wanted, (finding,) = read(f"words\n{line}\nTrigger: cffi:2.0", KNOWN)
    assert wanted == ("cffi==2.0",)
    assert (finding.where, finding.kind) == ("description, line 2", "trigger")
    assert says in finding.text
    assert len(finding.text) < 200


def test_nobody_asks_for_everything() -> None:
    wanted, findings = read("\n".join(f"Trigger: cffi:1.{number}" for number in range(500)), KNOWN)
    assert len(wanted) == 20
    assert "asks for 500 builds" in findings[-1].text
    assert len(read("Trigger: x:1\n" * 100_000, KNOWN)[1]) <= 40
    assert "is longer" in read("x" * (LONGEST + 1), KNOWN)[1][0].text


def test_no_description_holds_us() -> None:
    began = time.process_time()
    for part in ("<!--", "-->", "Trigger:", "> " * 5, "trigger " * 3, "\n", "<!-- -->"):
        read(part * (LONGEST // len(part)), KNOWN)
    assert time.process_time() - began < 20


@given(st.text())
def test_whatever_is_written_ends_no_line_of_an_output(body: str) -> None:
    for each in read(f"Trigger: {body}\nTrigger: cffi:{body}", KNOWN)[0]:
        assert each.isascii()
        assert each.isprintable()
        assert not set(each) & set(" ;$`'\"\\|&<>")


def test_packages_with_versions() -> None:
    assert pairs(["CFFI==v2.0", "markupsafe", "cffi==2.0"]) == (("cffi", "2.0"), ("markupsafe", None))
    with pytest.raises(UnknownVersionError, match="'x' is not a version"):
        pairs(["cffi==x"])
    with pytest.raises(UnknownPackageError):
        pairs(["-c==1"])


def test_a_file_of_them(tmp_path: Path) -> None:
    file = tmp_path / "triggers"
    file.write_text("cffi==2.0\n\n# a comment\nmarkupsafe  # the newest\n")
    assert read_file(file) == ("cffi==2.0", "markupsafe")
    with pytest.raises(PlanError, match="cannot be read"):
        read_file(tmp_path / "none")
