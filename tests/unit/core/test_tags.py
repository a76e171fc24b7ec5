from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import InvalidSpecifier
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from wheelyard.core.tags import Interpreter, WheelName, manylinux

INTERPRETERS = st.builds(Interpreter, st.integers(0, 99), st.booleans())


@given(INTERPRETERS)
def test_an_interpreter_reads_as_it_is_written(interpreter: Interpreter) -> None:
    assert Interpreter.parse(str(interpreter)) == interpreter


@pytest.mark.parametrize("text", ["", "cp3", "cp27", "cp313tt", "pp310", "3.13", "cp313 ", "cp313\n", "CP313"])
def test_what_is_no_interpreter(text: str) -> None:
    with pytest.raises(ValueError, match="is not an interpreter such as"):
        Interpreter.parse(text)


def test_interpreters_sort_as_numbers_and_the_free_threaded_build_after_its_twin() -> None:
    texts = ["cp314t", "cp39", "cp314", "cp310"]
    assert [str(one) for one in sorted(map(Interpreter.parse, texts))] == ["cp39", "cp310", "cp314", "cp314t"]


def test_where_manylinux_keeps_an_interpreter_and_what_cibuildwheel_calls_it() -> None:
    # PyPA's manylinux images: /opt/python/<python tag>-<abi tag>; cibuildwheel: the "build identifiers" of its docs.
    free_threaded = Interpreter.parse("cp314t")
    assert free_threaded.path == "/opt/python/cp314-cp314t"
    assert free_threaded.identifier() == "cp314t-manylinux_riscv64"
    assert Interpreter.parse("cp39").version == "3.9"


def test_a_wheels_name_taken_apart() -> None:
    # PEP 425: compressed tag sets stand for every combination.
    wheel = WheelName.parse("PyNaCl-1.6.2-1-cp38-abi3-manylinux_2_26_riscv64.manylinux_2_28_riscv64.whl")
    assert (wheel.name, str(wheel.version), wheel.build) == ("pynacl", "1.6.2", "1")
    assert (wheel.pythons, wheel.abis) == (("cp38",), ("abi3",))
    assert wheel.platforms == ("manylinux_2_26_riscv64", "manylinux_2_28_riscv64")


_PARTS = st.sampled_from(["x", "Foo.Bar", "1.0", "1!2.0+cpu", "3", "cp313", "py2.py3", "none", "any", "", "a b", "é"])


@given(st.lists(_PARTS, max_size=7).map("-".join), st.sampled_from([".whl", ".WHL", "", ".whl\n"]))
def test_a_name_is_taken_apart_as_packaging_does_it(stem: str, end: str) -> None:
    try:
        wanted = parse_wheel_filename(stem + end)
    except InvalidWheelFilename:
        with pytest.raises(ValueError):
            WheelName.parse(stem + end)
    else:
        wheel = WheelName.parse(stem + end)
        assert (wheel.name, wheel.version, wheel.tags) == (wanted[0], wanted[1], wanted[3])
        assert wheel.build == "".join(map(str, wanted[2]))


@pytest.mark.parametrize(
    "file",
    [
        "x.whl",
        "x-1.0.tar.gz",
        "../x-1.0-py3-none-any.whl",
        "a/x-1.0-py3-none-any.whl",
        "x-new-py3-none-any.whl",
        "x\0.whl",
    ],
)
def test_what_is_no_wheels_name(file: str) -> None:
    with pytest.raises(ValueError):
        WheelName.parse(file)


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("manylinux_2_39_riscv64", ((2, 39), "riscv64")),  # PEP 600
        ("manylinux_2_17_x86_64", ((2, 17), "x86_64")),
        ("manylinux1_x86_64", ((2, 5), "x86_64")),  # PEP 513
        ("manylinux2010_i686", ((2, 12), "i686")),  # PEP 571
        ("manylinux2014_aarch64", ((2, 17), "aarch64")),  # PEP 599
        ("musllinux_1_2_riscv64", None),
        ("linux_riscv64", None),
        ("any", None),
        ("manylinux2014", None),
        ("manylinux_2_39_riscv64\n", None),
    ],
)
def test_glibc_floor_and_architecture(platform: str, expected: tuple[tuple[int, int], str] | None) -> None:
    assert manylinux(platform) == expected


@pytest.mark.parametrize(
    ("platform", "runs"),
    [
        ("manylinux_2_39_riscv64", True),
        ("manylinux2014_x86_64.manylinux_2_39_riscv64", True),
        ("any", True),
        ("musllinux_1_2_riscv64", False),
        ("linux_riscv64", False),
        ("manylinux_2_39_x86_64", False),
        (f"manylinux_2_{'9' * 200}_riscv64", False),
    ],
)
def test_what_runs_on_riscv64(platform: str, runs: bool) -> None:
    assert WheelName.parse(f"demo-1.0-cp313-cp313-{platform}.whl").runs_on("riscv64") is runs


def test_a_name_of_a_hundred_million_tags_is_none() -> None:
    parts = (".".join(f"{letter}{number}" for number in range(500)) for letter in "pal")
    with pytest.raises(ValueError, match="longer than a file's name may be"):
        WheelName.parse(f"demo-1-{'-'.join(parts)}.whl")


@pytest.mark.parametrize("specifier", [f">={'9' * 5000}", f">3,<={'9' * 5000}", "no", ">=3;"])
def test_a_requires_python_that_nobody_can_compare_is_none(specifier: str) -> None:
    with pytest.raises(InvalidSpecifier):
        Interpreter.parse("cp313").allowed_by(specifier)
