"""HTML that is escaped by construction: text becomes markup only through :func:`tag`."""

from __future__ import annotations

import html
import re

# HTML 13.1.2: void elements have no end tag.
_VOID = frozenset({"meta", "link", "br"})
# No control characters, in which browsers and readers of XML differ, nor those that turn the text after them around
# (Unicode's UAX 9); no other scheme than this one runs or tracks nothing.
_CONTROL = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff"
    r"\ufdd0-\ufdef\ufffe\uffff]"
)
_SAFE = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]+)?(/[!#-;=?-~]*)?\Z")


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def text(value: str) -> Html:
    """Return *value* as markup that shows it."""
    return value if isinstance(value, Html) else Html(html.escape(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", value)))


def tag(name: str, /, *children: str, **attributes: str) -> Html:
    """Return an element; children that are not markup are escaped, as are attributes.

    Args:
        name: the element's.
        children: what is in it.
        attributes: ``class_`` is ``class``, and ``aria_label`` is ``aria-label``.
    """
    pairs = "".join(f' {key.rstrip("_").replace("_", "-")}="{text(value)}"' for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{pairs}>")
    return Html(f"<{name}{pairs}>{''.join(map(text, children))}</{name}>")


def link(url: str, shown: str) -> Html:
    """Return a link to another site, or the text alone where *url* is no plain https address."""
    return tag("a", shown, href=url, rel="noopener noreferrer") if _SAFE.match(url) else text(shown)
