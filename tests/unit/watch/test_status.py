"""How a package stands: the states exclude each other and leave nothing out, whatever upstream does."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from wheelyard.core.errors import NetworkError, UnknownPackageError
from wheelyard.core.tags import Interpreter
from wheelyard.index.project_summary import ProjectFacts, ReleaseFacts, Shipped
from wheelyard.watch.status import StatusInputs, Terms, candidates, judge, ripeness
from wheelyard.watch.status_report import STATES, PackageStatus

TODAY = date(2026, 6, 1)
SITE = tuple(map(Interpreter.parse, ("cp312", "cp313", "cp314t")))
PAIRS = ("cp312-cp312", "cp313-cp313", "cp314-cp314t")
WHOLE = tuple(Shipped(pair, (2, 39)) for pair in PAIRS)
TERMS = Terms(TODAY, cool_down=3, limit=2, glibc=(2, 39))
GONE = UnknownPackageError("the index has no package 'demo'")


def rel(version: str, days: int | None = 30, **more: Any) -> ReleaseFacts:
    """A release, by default with aarch64 wheels for all of the site's interpreters, a month old."""
    released = None if days is None else TODAY - timedelta(days=days)
    return replace(ReleaseFacts(Version(version), released, reference="aarch64", wheels=PAIRS), **more)


def facts(*releases: ReleaseFacts, **more: Any) -> ProjectFacts:
    ordered = tuple(sorted(releases, key=lambda release: release.version, reverse=True))
    return replace(ProjectFacts("demo", releases=ordered), **more)


def known(upstream: Any, *pinned: str, **more: Any) -> StatusInputs:
    """What is known: planned for all of the site's interpreters, nothing asked of our registry."""
    releases = upstream.releases if isinstance(upstream, ProjectFacts) else ()
    base = StatusInputs(
        "demo", "demo", upstream, tuple(map(Version, pinned)), planned={each.version: SITE for each in releases}
    )
    return replace(base, **more)


def versions(*texts: str) -> dict[Version, tuple[str, ...]]:
    """Our registry has all wheels of these."""
    return {Version(text): PAIRS for text in texts}


V1 = rel("1.0")
PURE: dict[str, Any] = {"reference": "any", "pure": ("py3-none",), "wheels": ("py3-none",)}
EXAMPLES: dict[str, list[tuple[StatusInputs, str]]] = {
    "current": [
        (known(facts(V1), "1.0"), "up to date"),
        (known(facts(V1), "1.0", published=versions("1.0")), "up to date"),
        (known(facts(V1, rel("2.0", 2)), "1.0"), "up to date"),
        (known(facts(V1, rel("2.0rc1")), "1.0"), "up to date"),
        (known(facts(V1, rel("2.0", yanked="")), "1.0"), "up to date"),
        (known(facts(rel("2.0", ships=WHOLE)), retired=Version("2.0")), "retired: 2.0 installs from the public index"),
        (known(facts(rel("2.1", **PURE)), retired=Version("2.0")), "retired: 2.1 installs from the public index"),
    ],
    "partial": [
        (known(facts(V1), "1.0", published={Version("1.0"): PAIRS[:2]}), "1.0 lacks cp314t in our registry"),
        (known(facts(V1), "1.0", published={}), "1.0 lacks cp312, cp313, cp314t in our registry"),
    ],
    "new": [
        (known(facts(V1)), "1.0 is out"),
        (known(facts(V1, rel("2.0", 3)), "1.0"), "2.0 is out, 1.0 is pinned"),
        (known(facts(V1, rel("2.0"), rel("3.0")), "1.0", versions="<3"), "2.0 is out, 1.0 is pinned"),
        (known(facts(V1, rel("1.0.post1")), "1.0"), "1.0.post1 is out, 1.0 is pinned"),
    ],
    "blocked": [
        (known(facts(V1, rel("2.0")), "1.0", versions="<2"), "2.0 is out: the recipe allows <2 only"),
        (
            known(facts(V1, rel("2.0")), "1.0", obstacles={Version("2.0"): "a.patch does not apply"}),
            "2.0 is out: a.patch",
        ),
    ],
    "ships": [
        (
            known(facts(V1, rel("2.0", ships=WHOLE)), "1.0"),
            "upstream ships riscv64 wheels of 2.0 for every interpreter",
        ),
        (known(facts(replace(V1, ships=WHOLE[:2])), "1.0"), "upstream ships 1.0 for cp312, cp313, not for all"),
        # Our registry need not have what is there upstream.
        (
            known(facts(replace(V1, ships=WHOLE[:1])), "1.0", published={Version("1.0"): PAIRS[1:]}),
            "upstream ships 1.0 for cp312, not for all",
        ),
    ],
    "pure": [(known(facts(V1, rel("2.0", **PURE)), "1.0"), "2.0 is pure Python and needs no wheel of ours")],
    "regressed": [
        (
            known(facts(rel("2.0", ships=WHOLE), rel("2.1", ships=WHOLE[:1])), retired=Version("2.0")),
            "upstream shipped riscv64 wheels from 2.0 on; 2.1 lacks them for cp313, cp314t",
        ),
    ],
    "renamed": [(known(facts(V1, name="demo-ng"), "1.0"), "the index answers with 'demo-ng'")],
    "quarantined": [
        (known(facts(status="quarantined", reason="malware"), "1.0"), "the index has quarantined it: malware")
    ],
    "gone": [
        (known(GONE, "1.0"), "the index has no package 'demo'"),
        (known(facts(rel("1.0", yanked="broken")), "1.0"), "no final release of it is left"),
        (known(facts(), "1.0"), "no final release of it is left"),
    ],
    "error": [(known(NetworkError("cannot be reached", details=["timed out"]), "1.0"), "cannot be reached")],
}


@pytest.mark.parametrize(("state", "given", "text"), [(state, *each) for state in STATES for each in EXAMPLES[state]])
def test_each_state(state: str, given: StatusInputs, text: str) -> None:
    found = judge(given, TERMS)
    assert (found.state, found.text[: len(text)]) == (state, text)


def test_what_counts_less_stands_beside_it() -> None:
    upstream = facts(
        replace(V1, ships=WHOLE[:1]), rel("2.0"), rel("3.0", 1), status="archived", reason="no time \x1b[31m"
    )
    found = judge(known(upstream, "1.0", published={}), TERMS)
    assert (found.state, found.pinned, found.newest, found.new) == ("new", "1.0", "3.0", ("2.0",))
    assert found.missing == ("cp313", "cp314t")
    assert [(each.version, each.interpreters, each.wholly) for each in found.ships] == [("1.0", ("cp312",), False)]
    assert [(each.version, each.until) for each in found.waiting] == [("3.0", TODAY + timedelta(days=2))]
    assert found.notes[0].startswith("the index calls it archived: no time")


def test_a_pure_release_that_the_recipe_builds_on_purpose_is_judged_as_any_other() -> None:
    """Else its package would want something done for ever."""
    pure = rel("1.0", **PURE)
    stands = judge(known(facts(pure), "1.0", own_tags=True, published=versions("1.0")), TERMS)
    assert (stands.state, stands.text) == ("current", "up to date")
    assert any("pure Python upstream: built all the same" in note for note in stands.notes)
    assert judge(known(facts(pure), "1.0", published=versions("1.0")), TERMS).state == "pure"
    assert judge(known(facts(pure, rel("2.0", **PURE)), "1.0", own_tags=True), TERMS).state == "new"
    assert judge(known(facts(pure), "1.0", own_tags=True, published={}), TERMS).state == "partial"


def test_a_bound_of_the_recipe_is_told_of_beside_a_version_that_it_takes() -> None:
    found = judge(known(facts(V1, rel("2.0"), rel("3.0")), "1.0", versions="<3"), TERMS)
    assert (found.new, found.notes) == (("2.0",), ("3.0 is out: the recipe allows <3 only",))


def test_a_wheel_for_a_newer_c_library_than_the_sites_is_none() -> None:
    newer = tuple(Shipped(pair, (2, 41)) for pair in PAIRS)
    found = judge(known(facts(V1, rel("2.0", ships=newer)), "1.0"), TERMS)
    assert (found.state, found.ships) == ("new", ())
    said = "need glibc 2.41, newer than the site configuration's 2.39: they do not count"
    assert found.notes == (f"upstream's riscv64 wheels of 2.0 for cp312, cp313, cp314t {said}",)
    retired = judge(known(facts(rel("2.0", ships=newer)), retired=Version("2.0")), TERMS)
    assert retired.state == "regressed"
    # Whatever release is told of, and for whom: nobody should look for these wheels in vain, nor for others.
    partly = (WHOLE[0], Shipped(PAIRS[1], (2, 40)), Shipped("cp38-cp38", (2, 41)))
    found = judge(known(facts(replace(V1, ships=partly), rel("2.0", ships=newer[2:]), rel("3.0", 1)), "1.0"), TERMS)
    assert [(each.version, each.interpreters) for each in found.ships] == [("1.0", ("cp312",))]
    assert found.notes == (
        f"upstream's riscv64 wheels of 2.0 for cp314t {said}",
        f"upstream's riscv64 wheels of 1.0 for cp313 {said.replace('2.41', '2.40')}",
    )
    # One for the stable ABI that everybody can install does for those whose own is too new.
    both = (Shipped("cp39-abi3", (2, 39)), Shipped("cp313-cp313", (2, 41)))
    found = judge(known(facts(replace(V1, ships=both)), "1.0", planned={Version("1.0"): SITE[:2]}), TERMS)
    assert (found.state, found.notes) == ("ships", ())


def test_a_flood_of_young_releases_hides_nothing() -> None:
    flood = [rel(f"3.{micro}", 0, ships=WHOLE) for micro in range(8)]
    found = judge(known(facts(V1, rel("2.0", ships=WHOLE), *flood), "1.0"), TERMS)
    assert found.state == "ships"
    assert [each.version for each in found.ships] == ["3.7", "2.0"]
    assert len(found.waiting) == TERMS.limit


def test_a_release_counts_from_when_the_index_or_we_saw_it() -> None:
    undated = facts(V1, rel("2.0", None))
    assert judge(known(undated, "1.0"), TERMS).state == "current"
    first = {Version("2.0"): TODAY - timedelta(days=3)}
    assert judge(known(undated, "1.0", first_seen=first), TERMS).state == "new"
    to_come = facts(V1, rel("2.0", released=date.max))
    assert judge(known(to_come, "1.0"), TERMS).state == "current"
    assert judge(known(to_come, "1.0", first_seen=first), TERMS).state == "new"


def test_candidates_are_what_is_pinned_and_what_is_newer() -> None:
    upstream = facts(rel("0.9"), V1, rel("1.1rc1"), rel("1.2", yanked=""), rel("2.0"))
    assert [str(each.version) for each in candidates(upstream, [Version("1.0"), Version("0.9")])] == ["2.0", "1.0"]
    assert [str(each.version) for each in candidates(upstream, [])] == ["2.0", "1.0", "0.9"]


# ------------------------------------------------------------------------ laws

TEXTS = ("0.9", "1.0", "1.0.post1", "1.1", "1.1+local", "2.0a1", "2.0rc1", "2.0", "2!0.1", "3.0.dev1", "10.0")
SHIPPED = st.lists(
    st.builds(
        Shipped,
        st.sampled_from([*PAIRS, "cp39-abi3", "cp315-abi3t", "py3-none", "cp38-cp38"]),
        st.sampled_from([(2, 28), (2, 39), (2, 41)]),
    ),
    max_size=4,
    unique_by=lambda each: each.pair,
).map(tuple)
RELEASES = st.lists(
    st.builds(
        ReleaseFacts,
        version=st.sampled_from(TEXTS).map(Version),
        released=st.none() | st.dates(TODAY - timedelta(days=9), TODAY + timedelta(days=3)) | st.dates(),
        yanked=st.sampled_from([None, None, None, "", "broken"]),
        sdist=st.booleans(),
        pure=st.sampled_from([(), ("py3-none",)]),
        reference=st.sampled_from(["aarch64", "any", "", "win"]),
        wheels=st.just(PAIRS),
        ships=SHIPPED,
    ),
    max_size=6,
    unique_by=lambda each: each.version,
)
PROJECTS = st.builds(
    lambda releases, status, name: facts(*releases, status=status, name=name),
    RELEASES,
    st.sampled_from(["active", "active", "active", "archived", "quarantined", "deprecated"]),
    st.sampled_from(["demo"] * 5 + ["demo-ng"]),
)
PLANS = st.dictionaries(
    st.sampled_from(TEXTS).map(Version), st.lists(st.sampled_from(SITE), unique=True).map(tuple), max_size=6
)
SEEN = st.dictionaries(st.sampled_from(TEXTS).map(Version), st.dates(), max_size=4)
KNOWN = st.builds(
    StatusInputs,
    package=st.just("demo"),
    project=st.just("demo"),
    upstream=PROJECTS | st.sampled_from([GONE, NetworkError("no answer")]),
    pinned=st.lists(st.sampled_from(TEXTS[:8]).map(Version), max_size=2).map(tuple),
    published=st.none()
    | st.dictionaries(st.sampled_from(TEXTS).map(Version), st.lists(st.sampled_from(PAIRS)).map(tuple)),
    planned=PLANS,
    retired=st.none() | st.sampled_from(TEXTS).map(Version),
    versions=st.sampled_from(["", "", "<2", ">=1.1,!=2.0", "==99"]),
    first_seen=SEEN,
    obstacles=st.dictionaries(st.sampled_from(TEXTS).map(Version), st.just("a patch"), max_size=2),
)
ALL_TERMS = st.builds(
    Terms, st.just(TODAY), st.integers(0, 365), st.integers(1, 10), st.sampled_from([(2, 39), (99, 0)])
)


@given(KNOWN, ALL_TERMS)
def test_there_is_one_state_and_its_cause(given: StatusInputs, terms: Terms) -> None:
    found = judge(given, terms)
    assert found.state in STATES
    assert found.text
    assert PackageStatus.model_validate_json(found.model_dump_json()) == found
    upstream = given.upstream
    facts = upstream if isinstance(upstream, ProjectFacts) else None
    assert (found.state == "error") == isinstance(upstream, NetworkError)
    assert (found.state == "quarantined") == (facts is not None and facts.status == "quarantined")
    known_here = facts is not None and facts.status != "quarantined"
    assert (found.state == "renamed") == (known_here and facts is not None and facts.name != given.project)
    left = known_here and facts is not None and facts.name == given.project
    assert (found.state == "gone") == (upstream is GONE or (left and facts is not None and facts.newest is None))
    assert found.state != "regressed" or given.retired is not None
    assert found.state != "partial" or (found.missing and given.published is not None)
    assert found.state != "new" or found.new
    assert judge(given, terms) == found


@given(KNOWN, ALL_TERMS)
def test_only_ripe_final_newer_versions_that_the_recipe_takes_are_new(given: StatusInputs, terms: Terms) -> None:
    found = judge(given, terms)
    if not isinstance(given.upstream, ProjectFacts):
        assert (found.new, found.waiting) == ((), ())
        return
    by_text = {str(release.version): release for release in given.upstream.releases}
    have = max(given.pinned, default=None)
    for text in found.new:
        release = by_text[text]
        assert release.yanked is None
        assert not release.version.is_prerelease
        if release.released and release.released <= TODAY and not (have and release.version <= have):
            assert release.released + timedelta(days=terms.cool_down) <= TODAY
        if found.state != "regressed":
            assert have is None or release.version > have
            assert SpecifierSet(given.versions).contains(release.version)
    assert len(found.new) <= terms.limit
    assert list(found.new) == sorted(found.new, key=Version, reverse=True)
    for each in found.waiting:
        assert TODAY < each.until <= TODAY + timedelta(days=terms.cool_down)
        assert have is None or Version(each.version) > have
    assert len(found.waiting) <= terms.limit
    assert not set(found.new) & {each.version for each in found.waiting}


def with_release(given: StatusInputs, releases: list[ReleaseFacts], version: str) -> StatusInputs:
    """The project is well, and has a release that is a year old and more."""
    rest = [each for each in releases if each.version != Version(version)]
    return replace(given, upstream=facts(*rest, rel(version, 400)))


@given(st.builds(with_release, KNOWN, RELEASES, st.sampled_from(["0.9", "1.1", "2.0", "10.0"])), ALL_TERMS)
def test_wheels_for_all_in_the_newest_ripe_release_leave_nothing_to_build(given: StatusInputs, terms: Terms) -> None:
    assert isinstance(given.upstream, ProjectFacts)
    ripe, _ = ripeness(given.upstream, given, terms)
    whole = [
        replace(each, ships=WHOLE) if each.version == ripe[0].version else each for each in given.upstream.releases
    ]
    planned = {**given.planned, ripe[0].version: SITE}
    assert judge(replace(given, upstream=facts(*whole), planned=planned), terms).state in {"current", "ships", "pure"}


@given(KNOWN, ALL_TERMS, st.integers(0, 60))
def test_a_longer_cool_down_offers_nothing_more(given: StatusInputs, terms: Terms, more: int) -> None:
    terms = replace(terms, limit=10)
    sooner, later = judge(given, terms), judge(given, replace(terms, cool_down=terms.cool_down + more))
    assume("regressed" not in {sooner.state, later.state})
    assert {each.version for each in sooner.waiting} <= {each.version for each in later.waiting}
    if sooner.state in {"new", "blocked"} and later.state in {"new", "blocked"}:
        assert set(later.new) <= set(sooner.new)


@given(st.builds(with_release, KNOWN, RELEASES, st.just("3!0")), ALL_TERMS)
def test_to_pin_what_is_new_is_all_that_it_asks_for(given: StatusInputs, terms: Terms) -> None:
    given = replace(given, versions="", retired=None, obstacles={})
    found = judge(given, terms)
    assert (found.state, found.new[0]) == ("new", "3!0")
    after = judge(replace(given, pinned=(*given.pinned, Version("3!0"))), terms)
    assert (after.state in {"new", "blocked"}, after.pinned, after.new) == (False, "3!0", ())
