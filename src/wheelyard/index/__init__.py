"""The package index (PEP 503, PEP 691): projects, releases and versions to pin.

The index is the one that this machine's pip uses. Its answers are checked: names, versions, hashes, tags and
specifiers that do not parse are skipped or refused, never stored.
"""

from wheelyard.index.client import check_index, index_url
from wheelyard.index.version_lookup import look_up, sdist_url

__all__ = ["check_index", "index_url", "look_up", "sdist_url"]
