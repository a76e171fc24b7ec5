"""What a comparison of a registry with the records finds: each kind of problem, and nothing where nothing is wrong."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from wheelyard.records.releases import ReleasedFile
from wheelyard.registries import RegistryFile
from wheelyard.registries.compare import Kind, Problem, compare
from wheelyard.registries.registry_reports import FoundProblem

A, B, C = "a" * 64, "b" * 64, "c" * 64


def name(version: str = "1.0", project: str = "demo") -> str:
    return f"{project}-{version}-cp313-cp313-manylinux_2_39_riscv64.whl"


def there(sha256: str | None = A, version: str = "1.0", **more: Any) -> RegistryFile:
    return RegistryFile(more.pop("file", name(version)), sha256, **more)


def known(sha256: str = A, version: str = "1.0") -> ReleasedFile:
    return ReleasedFile(file=name(version), where="gitlab", sha256=sha256, size=7, tags=("cp313-cp313-x",))


def found(
    files: list[RegistryFile], records: list[ReleasedFile], *, recipe: bool = True, where: str | None = "gitlab"
) -> list[Problem]:
    problems = list(compare("demo", files, records, is_known_project=recipe, where=where))
    assert all(problem.project == "demo" and problem.text and problem.fix for problem in problems)
    return problems


def kinds(problems: list[Problem]) -> list[tuple[Kind, str]]:
    return [(problem.kind, problem.file) for problem in problems]


def test_what_is_as_recorded_is_no_problem() -> None:
    assert found([there(), there(B, "2.0")], [known(B, "2.0"), known()]) == []
    assert found([], []) == []
    assert found([], [], recipe=False) == []


def test_other_bytes() -> None:
    (problem,) = found([there(B)], [known(A)])
    assert (problem.kind, problem.file) == (Kind.DIFFERS, name())
    assert A in problem.text
    assert B in problem.text


def test_recorded_and_not_there() -> None:
    assert kinds(found([there()], [known(), known(B, "2.0"), known(B, "3.0")])) == [
        (Kind.MISSING, name("2.0")),
        (Kind.MISSING, name("3.0")),
    ]


def test_there_and_not_recorded() -> None:
    (problem,) = found([there(), there(B, "2.0")], [known()])
    assert (problem.kind, problem.file) == (Kind.UNRECORDED, name("2.0"))
    assert problem.fix == "wheelyard registry adopt demo --registry gitlab"
    assert found([there()], [], where=None) == []  # where records do not list what is there


def test_a_hash_that_the_registry_does_not_know() -> None:
    assert kinds(found([there(None)], [known()])) == [(Kind.NO_HASH, name())]
    # It cannot be adopted: no second problem that has the first one's fix.
    assert kinds(found([there(None)], [])) == [(Kind.NO_HASH, name())]


def test_a_file_that_is_there_twice() -> None:
    (problem,) = found([there(), there()], [known()])
    assert (problem.kind, problem.text) == (Kind.DOUBLE, "is listed 2 times")


def test_a_wheel_that_is_there_under_two_spellings() -> None:
    other = name().replace("demo", "Demo")  # sorts before the recorded one, which stays all the same
    problems = found([there(), there(B, file=other)], [known()])
    assert kinds(problems) == [(Kind.UNRECORDED, other), (Kind.DOUBLE, other)]
    assert problems[1].text == f"is the same wheel, spelt another way, as {name()}"
    assert problems[1].fix == f"wheelyard registry remove demo {other} --registry gitlab"
    assert kinds(found([there(), there(B, "2.0"), there(C, file="demo-1.0.tar.gz")], [known(), known(B, "2.0")])) == [
        (Kind.ORPHAN, "demo-1.0.tar.gz")
    ]


def test_of_a_double_with_other_bytes_each_is_compared() -> None:
    for files in ([there(A), there(B)], [there(B), there(A)]):
        problems = found(files, [known(A)])
        assert kinds(problems) == [(Kind.DOUBLE, name()), (Kind.DIFFERS, name())]
        assert problems[0].text == "is listed 2 times, with different bytes"
        assert problems[1].text.startswith(f"sha256 {B} is there")
    assert [problem.kind for problem in found([there(B), there(None), there(C)], [known(A)])] == [
        Kind.DOUBLE,
        Kind.NO_HASH,
        Kind.DIFFERS,
        Kind.DIFFERS,
    ]


def test_a_project_without_a_recipe() -> None:
    (problem,) = found([there(), there(B, "2.0")], [known(), known(B, "2.0")], recipe=False)
    assert (problem.kind, problem.file, problem.text) == (Kind.ORPHAN, "", "2 files and no recipe")


@pytest.mark.parametrize("file", ["demo-1.0.tar.gz", "README", name(project="other"), "demo-1.0.whl"])
def test_a_file_that_is_no_wheel_of_the_project(file: str) -> None:
    assert kinds(found([there(file=file)], [])) == [(Kind.ORPHAN, file)]


def test_names_are_compared_as_names() -> None:
    file = "Demo-1.0-cp313-cp313-manylinux_2_39_riscv64.whl"
    assert kinds(found([there(file=file)], [])) == [(Kind.UNRECORDED, file)]


def test_the_report_knows_every_kind() -> None:
    assert set(get_args(FoundProblem.model_fields["kind"].annotation)) == {kind.value for kind in Kind}
