"""Upstream: what the package index knows of a package (PEP 503, PEP 691), as a version to pin.

The index is the one that this machine's pip uses. Whatever it answers is checked before it is believed: names,
versions, hashes, tags and specifiers that do not parse are ignored or refused, never stored.
"""

from wheelyard.index.client import check_index, index_url
from wheelyard.index.version_lookup import look_up, sdist_url

__all__ = ["check_index", "index_url", "look_up", "sdist_url"]
