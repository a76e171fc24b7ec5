"""What can be had for a requirement: the rules one by one, and what holds whatever there is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.version import Version

from support.offers import Offer, facts
from wheelyard.core.tags import Interpreter
from wheelyard.index.installer_choice import Availability, judge
from wheelyard.index.project_summary import ProjectFacts

CP313 = Interpreter(13)
CP314T = Interpreter(14, free_threaded=True)
NATIVE = "cp313-cp313-manylinux_2_31_riscv64.manylinux_2_39_riscv64"
NEWER = "cp313-cp313-manylinux_2_39_riscv64"
PURE = "py3-none-any"
OLDER = "cp312-cp312-manylinux_2_39_riscv64"
NOTHING = "nobody has a file of it that it takes"
YANKED = "all that it takes is yanked, or a pre-release"
UNFIT = "there is no wheel for it, and no source"


def had(
    asked: str,
    *offers: Offer,
    ours: tuple[str, ...] = (),
    python: Interpreter = CP313,
    glibc: tuple[int, int] | None = None,
) -> tuple[str, str]:
    found = judge(Requirement(asked), facts("demo", offers), ours, python, glibc=glibc)
    return found.kind, str(found.version or found.reason)


@pytest.mark.parametrize(
    ("asked", "offers", "ours", "found"),
    [
        ("demo", [Offer("1.0", (NATIVE,))], (), ("wheel", "1.0")),
        ("demo", [Offer("1.0", (PURE,))], (), ("pure", "1.0")),
        ("demo", [Offer("1.0", ("cp313-cp313-manylinux_2_17_x86_64",))], (), ("sdist", "1.0")),
        # pip, "--prefer-binary": an older wheel rather than a newer source
        ("demo", [Offer("2.0"), Offer("1.0", (NATIVE,))], (), ("wheel", "1.0")),
        ("demo>1", [Offer("2.0"), Offer("1.0", (NATIVE,))], (), ("sdist", "2.0")),
        ("demo", [Offer("2.0")], (f"demo-1.0-{NATIVE}.whl",), ("ours", "1.0")),
        ("demo", [Offer("2.0", (NATIVE,))], (f"demo-1.0-{NATIVE}.whl",), ("wheel", "2.0")),
        ("demo", [Offer("1.0", (NATIVE,))], (f"demo-2.0-{NATIVE}.whl",), ("ours", "2.0")),
        ("demo", [Offer("1.0", (PURE,))], (f"demo-1.0-{NATIVE}.whl",), ("ours", "1.0")),
        ("demo", [Offer("1.0", (NATIVE,))], (f"demo-1.0-{NATIVE}.whl",), ("wheel", "1.0")),
        ("demo", [], (f"demo-1.0-{NATIVE}.whl",), ("ours", "1.0")),
        ("Demo", [], ("demo-1.0-py3-none-any.whl",), ("ours", "1.0")),
        ("demo", [], ("other-1.0-py3-none-any.whl", "no wheel", "demo-1.0.tar.gz"), ("none", NOTHING)),
        # PEP 440, "Handling of pre-releases"
        ("demo", [Offer("2.0rc1", (NATIVE,)), Offer("1.0")], (), ("sdist", "1.0")),
        ("demo>=2.0rc1", [Offer("2.0rc1", (NATIVE,)), Offer("1.0")], (), ("wheel", "2.0rc1")),
        ("demo", [Offer("2.0rc1", (NATIVE,))], (), ("wheel", "2.0rc1")),
        # PEP 592
        ("demo", [Offer("2.0", (NATIVE,), yanked=True), Offer("1.0")], (), ("sdist", "1.0")),
        ("demo==2.0", [Offer("2.0", (NATIVE,), yanked=True), Offer("1.0")], (), ("wheel", "2.0")),
        ("demo===2.0", [Offer("2.0", (NATIVE,), yanked=True)], (), ("wheel", "2.0")),
        ("demo==2.*", [Offer("2.0", (NATIVE,), yanked=True)], (), ("none", YANKED)),
        ("demo>=2", [Offer("2.0", yanked=True)], (), ("none", YANKED)),
        ("demo==2.0", [Offer("2.0", yanked=True)], (f"demo-2.0-{NATIVE}.whl",), ("ours", "2.0")),
        # Requires-Python (PEP 503, PEP 345)
        ("demo", [Offer("2.0", (PURE,), requires_python=">=3.14"), Offer("1.0")], (), ("sdist", "1.0")),
        ("demo>1", [Offer("2.0", requires_python=">=3.14")], (), ("none", "its Requires-Python is >=3.14")),
        ("demo", [Offer("1.0", requires_python=">=3.13.2")], (), ("sdist", "1.0")),
        ("demo>1", [Offer("1.0")], (), ("none", "no version of it is >1")),
        ("demo", [Offer("1.0", (OLDER,), sdist=False)], (), ("none", UNFIT)),
    ],
)  # fmt: skip
def test_the_rules_of_pip(asked: str, offers: list[Offer], ours: tuple[str, ...], found: tuple[str, str]) -> None:
    assert had(asked, *offers, ours=ours) == found


def test_each_interpreter_has_its_own_wheels() -> None:
    offer = Offer("1.0", ("cp39-abi3-manylinux_2_31_riscv64",))
    assert had("demo", offer, python=Interpreter(12)) == ("wheel", "1.0")
    assert had("demo", offer, python=CP314T) == ("sdist", "1.0")  # PEP 703: the stable ABI has no such build
    assert had("demo", offer, ours=("demo-0.9-cp314-cp314t-manylinux_2_39_riscv64.whl",), python=CP314T) == (
        "ours",
        "0.9",
    )


def test_the_floor_is_that_of_the_wheel_that_is_taken() -> None:
    both = facts("demo", (Offer("1.0", (NEWER, "cp39-abi3-manylinux_2_31_riscv64")),))
    assert judge(Requirement("demo"), both, (), CP313) == Availability("wheel", Version("1.0"), (2, 39))
    assert judge(Requirement("demo"), both, (), CP313, glibc=(2, 36)) == Availability("wheel", Version("1.0"), (2, 31))
    assert judge(Requirement("demo"), both, (), CP313, glibc=(2, 30)) == Availability("sdist", Version("1.0"))
    pure = facts("demo", (Offer("1.0", (PURE,)),))
    assert judge(Requirement("demo"), pure, (), CP313).glibc is None


def test_a_quarantined_project_has_nothing_and_says_why() -> None:
    found = judge(Requirement("demo"), ProjectFacts("demo", status="quarantined"), (), CP313)
    assert (found.kind, found.reason) == ("none", "the index has quarantined it")


# ------------------------------------------------------- whatever there is

VERSIONS = st.sampled_from(["0.9", "1.0", "1.0.post1", "1.5rc1", "2.0", "2.1.dev3"])
TAGS = st.sampled_from([NATIVE, NEWER, PURE, "cp38-abi3-manylinux_2_35_riscv64", "cp314-cp314t-manylinux_2_39_riscv64"])
OFFERS = st.lists(
    st.builds(
        Offer,
        VERSIONS,
        st.lists(TAGS, max_size=2, unique=True).map(tuple),
        st.booleans(),
        st.sampled_from(["", ">=3.9", ">=3.14", "<3.13"]),
        st.booleans(),
    ),
    max_size=5,
    unique_by=lambda offer: offer.version,
)
OURS = st.lists(st.tuples(VERSIONS, TAGS), max_size=4, unique=True).map(
    lambda found: tuple(f"demo-{version}-{tags}.whl" for version, tags in found)
)
ASKED = st.sampled_from(["", ">=1", "==1.0", "==1.*", "!=2.0", "<2", ">=1.5rc1", "===2.0", "~=1.0", ">3"]).map(
    lambda text: Requirement(f"demo{text}")
)
PYTHONS = st.sampled_from([Interpreter(12), CP313, Interpreter(14), CP314T])
GLIBCS = st.sampled_from([None, (2, 31), (2, 36), (2, 41)])


@given(ASKED, OFFERS, OURS, PYTHONS, GLIBCS)
def test_one_kind_always_and_nothing_that_was_not_offered(
    asked: Requirement, offers: list[Offer], ours: tuple[str, ...], python: Interpreter, glibc: tuple[int, int] | None
) -> None:
    found = judge(asked, facts("demo", tuple(offers)), ours, python, glibc=glibc)
    assert (found.version is None) == (found.kind == "none") == bool(found.reason)
    assert found.glibc is None or found.kind in {"wheel", "ours"}
    if found.version is None:
        return
    assert asked.specifier.contains(found.version, prereleases=True)
    public = {Version(offer.version): offer for offer in offers}
    if found.kind == "ours":
        assert any(name.startswith(f"demo-{found.version}-") for name in ours)
    else:
        offer = public[found.version]
        assert not offer.yanked or "==" in str(asked.specifier)
        assert offer.sdist or found.kind != "sdist"
    if glibc and found.glibc:
        assert found.glibc <= glibc


@given(
    ASKED,
    OFFERS,
    OURS,
    PYTHONS,
    GLIBCS,
    VERSIONS.filter(lambda text: Version(text).release and not Version(text).is_prerelease),
    TAGS,
)
def test_one_more_wheel_never_makes_it_worse(  # noqa: PLR0917 - hypothesis gives them by place
    asked: Requirement,
    offers: list[Offer],
    ours: tuple[str, ...],
    python: Interpreter,
    glibc: tuple[int, int] | None,
    version: str,
    tags: str,
) -> None:
    known = facts("demo", tuple(offers))
    before = judge(asked, known, ours, python, glibc=glibc)
    after = judge(asked, known, (*ours, f"demo-{version}-{tags}.whl"), python, glibc=glibc)
    assert _rank(after) >= _rank(before)


def _rank(found: Availability) -> tuple[bool, bool, bool, Version]:
    """Anything rather than nothing, a wheel rather than a source; then a final version, as PEP 440 has it."""
    version = found.version or Version("0.dev0")
    return found.kind != "none", found.installs, not version.is_prerelease, version if found.installs else Version("0")
