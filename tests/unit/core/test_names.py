from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wheelyard.core.errors import UnknownPackageError
from wheelyard.core.names import canonical, did_you_mean


@pytest.mark.parametrize(
    "name", ["friendly-bard", "Friendly-Bard", "FRIENDLY.BARD", "friendly_bard", "FrIeNdLy-._.-bArD"]
)
def test_spellings_of_one_name(name: str) -> None:
    # The names specification's own example (packaging.python.org, "Name normalization").
    assert canonical(name) == "friendly-bard"


@pytest.mark.parametrize("name", ["", "-a", "a-", ".", "..", "a/b", "../a", "a b", "ä", "a\n", "a\0"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(UnknownPackageError, match="is not a package name"):
        canonical(name)


@given(st.text(max_size=20))
def test_a_canonical_name_is_safe_as_a_folder_and_stays_as_it_is(text: str) -> None:
    try:
        name = canonical(text)
    except UnknownPackageError:
        return
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert name[0] != "-"
    assert canonical(name) == name


def test_the_nearest_word_is_offered_and_a_far_one_is_not() -> None:
    assert did_you_mean("markup-safe", ["psutil", "markupsafe"]) == " (did you mean 'markupsafe'?)"
    assert did_you_mean("zzz", ["psutil", "markupsafe"]) == ""
