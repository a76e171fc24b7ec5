"""What a build takes from us is brought from where it is: from other jobs' results, or from our registry."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from support.built_wheels import specs
from support.gitlab import Fault
from support.publishing import FILE, PAGE, yard_in
from support.wheels import WheelSpec
from wheelyard.builder.fetch_build_requires import fetch_build_requires
from wheelyard.core.digests import sha256_file
from wheelyard.core.errors import NeededWheelError
from wheelyard.core.tags import Interpreter
from wheelyard.planning import build_requires
from wheelyard.planning.target import Target
from wheelyard.project.config import find_project
from wheelyard.project.loader import effective, load_recipe
from wheelyard.records.lockfile import lock_file, pin
from wheelyard.records.models import LockedVersion
from wheelyard.registries.open_registry import open_registry
from wheelyard.registries.registry_listings import installable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.publishing import PublishedProject

USER = '[build]\nneeds = ["demo"]\n'


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PublishedProject]:
    with yard_in(tmp_path) as made:
        monkeypatch.setenv("WHEELYARD_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("WHEELYARD_GITLAB_TOKEN", made.deploy_token)
        yield made


def target(yard: PublishedProject) -> Target:
    (yard.stock.root / "recipes/user").mkdir(parents=True, exist_ok=True)
    (yard.stock.root / "recipes/user/recipe.toml").write_text(USER, encoding="utf-8")
    yard.recipes("demo")
    recipe = load_recipe(find_project(yard.stock.root), "user")
    return Target(recipe, *effective(recipe, "1.0"), LockedVersion(version="1.0"))


def brought(yard: PublishedProject) -> list[str]:
    project = find_project(yard.stock.root)
    fetch_build_requires(project, target(yard), tuple(map(Interpreter.parse, ("cp312", "cp313"))))
    return sorted(build_requires.find(target(yard), project.index))


def forget_dist(yard: PublishedProject) -> None:
    shutil.rmtree(yard.stock.root / "dist")


def test_what_other_jobs_built_comes_first(yard: PublishedProject) -> None:
    yard.stock.add(*specs(2), kind="local")
    assert brought(yard) == sorted(spec.file for spec in specs(2))
    assert yard.gitlab.requests == []


def test_else_our_registry_gives_the_newest_version(yard: PublishedProject) -> None:
    made = yard.have(*specs(4))
    hashes = {path.name: sha256_file(path) for path in made}
    forget_dist(yard)
    assert brought(yard) == sorted(spec.file for spec in specs(4)[2:])
    index = find_project(yard.stock.root).index
    for wheel in (index / "files/demo").glob("*.whl"):
        assert sha256_file(wheel) == hashes[wheel.name]
    assert not list((yard.stock.root.parent / "cache/needs").iterdir())


def test_the_version_that_is_pinned_counts(yard: PublishedProject) -> None:
    yard.have(*specs(4))
    forget_dist(yard)
    path = lock_file(yard.stock.root / "packages", "demo")
    pin(path, LockedVersion(version="1.0", file="demo-1.0.tar.gz", sha256="1" * 64))
    assert brought(yard) == sorted(spec.file for spec in specs(4)[:2])


def test_what_is_yanked_is_not_taken(yard: PublishedProject) -> None:
    yard.have(*specs(4))
    forget_dist(yard)
    done = yard.registry("yank", "demo", "1.1", "--reason", "it crashes")
    assert done.returncode == 0, done.stderr
    assert brought(yard) == sorted(spec.file for spec in specs(4)[:2])


def test_bytes_that_are_not_those_of_the_index_are_not_taken(
    yard: PublishedProject, capfd: pytest.CaptureFixture[str]
) -> None:
    yard.have(*specs(2))
    forget_dist(yard)
    yard.gitlab.plan.add(Fault("corrupt", times=50, **FILE))
    with pytest.raises(NeededWheelError, match="has none"):
        brought(yard)
    assert not list((find_project(yard.stock.root).index / "files").glob("*/*"))
    assert "cannot be fetched from gitlab" in capfd.readouterr().err


def test_what_is_nowhere_is_told_and_so_is_a_registry_that_does_not_answer(
    yard: PublishedProject, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NeededWheelError, match="has none") as caught:
        brought(yard)
    assert caught.value.exit_code == 23
    assert "nox -s build-demo" in (caught.value.fix or "")
    yard.gitlab.plan.add(Fault("status", status=401, times=50, **PAGE))
    with pytest.raises(NeededWheelError):
        brought(yard)
    assert "cannot be fetched from gitlab" in capfd.readouterr().err


def test_what_is_in_the_index_folder_stays(yard: PublishedProject) -> None:
    yard.stock.add(*specs(2), kind="local")
    first = brought(yard)
    yard.stock.add(*specs(4)[2:], kind="local")
    assert brought(yard) == first


def test_what_dist_may_not_give_comes_from_the_registry(
    yard: PublishedProject, capfd: pytest.CaptureFixture[str]
) -> None:
    for wheel in yard.have(*specs(2)):
        (wheel.parent / "verdict.json").unlink(missing_ok=True)
    assert brought(yard) == sorted(spec.file for spec in specs(2))
    assert "dist/ cannot be used" in capfd.readouterr().err


def test_an_interpreter_that_dist_lacks_comes_from_the_registry(yard: PublishedProject) -> None:
    yard.have(*specs(2))
    forget_dist(yard)
    yard.stock.add(specs(2)[0], kind="local")
    assert brought(yard) == sorted(spec.file for spec in specs(2))


def test_of_what_its_page_lists_only_its_own_wheels_for_riscv64_are_taken(
    yard: PublishedProject, tmp_path: Path
) -> None:
    yard.have(*specs(2))
    forget_dist(yard)
    others = [
        WheelSpec(name="evil", version="9.0"),
        WheelSpec(version="9.0", platform="musllinux_1_2_riscv64"),
        WheelSpec(version="9.0", platform="manylinux_2_39_x86_64"),
        WheelSpec(version="9.0", platform="linux_riscv64"),
    ]
    for number, spec in enumerate(others):
        yard.upload(spec.write(tmp_path / "others"), name="demo", version=f"9.{number}")
    project = find_project(yard.stock.root)
    registry = open_registry(project, "gitlab")
    found = installable(project, registry, "demo", registry.adapter.files("demo"))
    assert len(registry.adapter.files("demo")) == len(others) + 2
    assert {str(version): len(wheels) for version, wheels in found.items()} == {"1.0": 2}
    assert brought(yard) == sorted(spec.file for spec in specs(2))
    assert [path.name for path in (project.index / "files").iterdir()] == ["demo"]


def test_what_is_no_wheel_in_the_index_folder_counts_for_nothing(yard: PublishedProject) -> None:
    yard.have(*specs(2))
    forget_dist(yard)
    folder = find_project(yard.stock.root).index / "files/demo"
    folder.mkdir(parents=True)
    (folder / "demo.whl").write_bytes(b"no wheel")
    assert brought(yard) == sorted(spec.file for spec in specs(2))
