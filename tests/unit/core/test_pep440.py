"""Versions and specifiers from outside: what cannot be compared is refused when it is read, and not later."""

from __future__ import annotations

import pytest
from packaging.specifiers import InvalidSpecifier
from packaging.version import InvalidVersion

from wheelyard.core.pep440 import read_specifier, read_version

ENDLESS = "9" * 5000  # int() takes 4300 digits (docs.python.org, sys.int_info)


@pytest.mark.parametrize("text", ["", "new", "1..0", ENDLESS, f"1.{ENDLESS}", f"{ENDLESS}!1"])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(InvalidVersion):
        read_version(text)


@pytest.mark.parametrize("text", ["3", ">=", f">={ENDLESS}", f">99,<1.{ENDLESS}", f"==1.{ENDLESS}.*", f"~=1.{ENDLESS}"])
def test_what_is_no_specifier(text: str) -> None:
    with pytest.raises(InvalidSpecifier):
        read_specifier(text)


def test_all_others_are_read_as_packaging_reads_them() -> None:
    assert str(read_version("1!2.0RC1+CPU")) == "1!2.0rc1+cpu"
    assert str(read_specifier(">=3.9, <4")) in {">=3.9,<4", "<4,>=3.9"}
    assert str(read_specifier("")) == ""
