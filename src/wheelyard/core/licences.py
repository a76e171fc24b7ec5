"""Read licence statements of distributions' packages: must source code be offered?

A statement that cannot be read for certain counts as copyleft: a source too many does no harm, one too few breaks a
licence. Sources: SPDX specification, annex "SPDX license expressions"; Fedora's older short names of the same grammar;
Debian's machine-readable copyright format (copyright-format 1.0).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from license_expression import LicenseExpression, Licensing

# Licences that do not require source code, in lower case; of families, the start of their names.
_FREE = frozenset(
    {
        "0bsd", "apache-2.0", "apache 2.0", "asl 2.0", "boost", "bsd", "bsl-1.0", "bzip2-1.0.6", "cc0", "cc0-1.0",
        "curl", "expat", "isc", "libpng", "mit", "ncsa", "openssl", "pd", "psf-2", "psf-2.0", "public domain",
        "public-domain", "python-2.0", "unlicense", "x11", "zlib", "zlib-acknowledgement",
    }
)  # fmt: skip
_FREE_FAMILIES = ("bsd-2-clause", "bsd-3-clause", "mit-", "unicode-", "licenseref-fedora-public-domain")
_LONGEST = 2000  # characters that a record keeps
_COMMON = re.compile(r"common-licenses/([A-Za-z0-9][A-Za-z0-9.+-]*)")


@dataclass(frozen=True)
class Licence:
    """What a package's licence is.

    Attributes:
        text: as the package states it, empty where it states none.
        copyleft: whether its source code has to be offered; a licence that cannot be read counts as copyleft.
    """

    text: str
    copyleft: bool


def of_expression(text: str) -> Licence:
    """Return the licence that an expression states, such as ``MIT OR (GPL-2.0-or-later AND BSD)``."""
    from license_expression import Licensing  # slow, and only grafted libraries need it

    text = " ".join(text.split())
    if len(text) > _LONGEST:
        return Licence(text[:_LONGEST], copyleft=True)
    licensing = Licensing()  # without SPDX's list: older short names are names too
    try:
        expression = licensing.parse(text)
        copyleft = expression is None or _is_copyleft(licensing, expression)
    except Exception:  # noqa: BLE001 - its parser lets IndexErrors and others escape, on "()" for one
        copyleft = True
    return Licence(text, copyleft=copyleft)


def of_debian(text: str) -> Licence:
    """Return the licence that a package's ``copyright`` file states.

    Every licence named for any of its files counts. Of a file that is not machine-readable, as GCC's is not, nothing
    is certain; the text names the common licences that it refers to.
    """
    paragraphs = re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n").strip())
    head = paragraphs[0].lower()
    if not (head.startswith("format:") and "copyright-format/1" in head):
        names = sorted({name.rstrip(".") for name in _COMMON.findall(text)})
        return Licence(
            f"not machine-readable; refers to {', '.join(names) or 'nothing known'}"[:_LONGEST], copyleft=True
        )
    stated = [
        match[1].strip()
        for paragraph in paragraphs
        if (match := re.search(r"^license:[ \t]*(.*)$", paragraph, re.IGNORECASE | re.MULTILINE))
    ]
    # A Files paragraph whose licence has no name is as good as unknown.
    licences = [of_expression(expression) for expression in dict.fromkeys(stated)]
    text = " AND ".join(f"({licence.text})" if " " in licence.text else licence.text for licence in licences)
    return Licence(text[:_LONGEST], copyleft=not licences or any(licence.copyleft for licence in licences))


def _is_copyleft(licensing: Licensing, expression: LicenseExpression) -> bool:
    """Check the names: of alternatives (OR) people choose the free one, of a list (AND) every licence counts."""
    if isinstance(expression, licensing.OR):
        return all(_is_copyleft(licensing, part) for part in expression.args)
    if isinstance(expression, licensing.AND):
        return any(_is_copyleft(licensing, part) for part in expression.args)
    # An exception adds permissions, and never takes any away (SPDX, annex of expressions).
    name = getattr(expression, "license_symbol", expression).key.lower()
    return not (name in _FREE or name.startswith(_FREE_FAMILIES))
