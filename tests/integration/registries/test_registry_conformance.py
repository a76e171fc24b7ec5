"""What every adapter of the Registry port must do. A new adapter is a new entry in ``again``, nothing else."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from support.gitlab import GitLab, serve
from support.wheels import WheelSpec
from wheelyard.core.digests import sha256_bytes, sha256_file
from wheelyard.core.errors import (
    ConflictError,
    NetworkError,
    PublishError,
    RegistryContentError,
)
from wheelyard.io.server import Login
from wheelyard.registries import (
    Action,
    Credential,
    DirectoryRegistry,
    GitLabRegistry,
    Journal,
    Outcome,
    Registry,
    Release,
    Upload,
    plan_uploads,
    publish,
    read_release,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    Again = Callable[[], Registry]

PROJECT = "riseproject/python/wheel_builder"


@pytest.fixture(params=["folder", "gitlab: HTML", "gitlab: JSON", "gitlab: forwarding"])
def again(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Again]:
    """A function that connects to one and the same empty registry, as another process would."""
    if request.param == "folder":
        yield lambda: DirectoryRegistry(tmp_path / "index")
        return
    gitlab = GitLab(tmp_path / "gitlab")
    project = gitlab.add_project(PROJECT)
    gitlab.project_setting.pep691 = request.param == "gitlab: JSON"
    gitlab.project_setting.forwarding = request.param == "gitlab: forwarding"
    user = gitlab.add_user("ann")
    gitlab.add_member(project, user, "maintainer")
    token = gitlab.add_pat(user, scopes=("api",), expires_at=None)
    with ExitStack() as stack:
        server = stack.enter_context(serve(gitlab))
        credential = Credential(Login("ann", token), "the test")
        yield lambda: GitLabRegistry(server.url, PROJECT, credential)


def journaled(registry: Registry, plan: Sequence[Upload], folder: Path) -> list[Outcome]:
    with Journal.of(folder / "journal", registry.title) as journal:
        return publish(registry, plan, journal, parallel=3)


def release(folder: Path, spec: WheelSpec | None = None, *, salt: bytes = b"") -> Release:
    wheel = (spec or WheelSpec()).write(folder, salt=salt)
    return read_release(wheel, sha256=sha256_file(wheel))


def test_an_empty_registry_has_nothing(again: Again) -> None:
    assert again().projects() == ()
    assert again().files("demo") == ()


def test_what_was_put_is_there(again: Again, tmp_path: Path) -> None:
    one = release(tmp_path / "dist", WheelSpec(requires_python=">=3.9,<4"))
    assert again().put(one)
    (file,) = again().files("demo")
    assert (file.file, file.sha256) == (one.name.file, one.sha256)
    assert file.size in {None, one.size}  # GitLab's pages do not say
    assert file.requires_python == ">=3.9,<4"
    assert file.yanked is None
    assert file.metadata_sha256 in {"", sha256_bytes(one.metadata)}
    assert again().projects() == ("demo",)


def test_the_same_bytes_again_change_nothing(again: Again, tmp_path: Path) -> None:
    one = release(tmp_path / "dist")
    again().put(one)
    before = again().files("demo")
    assert not again().put(one)
    assert again().files("demo") == before


def test_other_bytes_under_the_same_name_are_a_conflict(again: Again, tmp_path: Path) -> None:
    one, other = release(tmp_path / "a"), release(tmp_path / "b", salt=b"other")
    again().put(one)
    before = again().files("demo")
    with pytest.raises(ConflictError) as caught:
        again().put(other)
    assert one.sha256 in str(caught.value)
    assert other.sha256 in str(caught.value)
    assert again().files("demo") == before


def test_a_wheel_changed_since_it_was_read_is_refused(again: Again, tmp_path: Path) -> None:
    one = release(tmp_path / "dist")
    WheelSpec().write(tmp_path / "dist", salt=b"changed")
    with pytest.raises(PublishError, match="changed after it was checked"):
        again().put(one)
    assert again().files("demo") == ()


def test_a_second_wheel_of_a_version_is_added(again: Again, tmp_path: Path) -> None:
    for python in ("cp312", "cp313", "cp314"):
        again().put(release(tmp_path / "dist", WheelSpec(python=python, abi=python)))
    assert [file.file.split("-")[2] for file in again().files("demo")] == ["cp312", "cp313", "cp314"]


def test_spellings_of_a_name_are_one_project(again: Again, tmp_path: Path) -> None:
    again().put(release(tmp_path / "dist", WheelSpec(name="Zope.Demo_Pkg", version="1.0")))
    again().put(release(tmp_path / "dist", WheelSpec(name="zope-demo-pkg", version="1.1")))
    assert again().projects() == ("zope-demo-pkg",)
    assert len(again().files("zope-demo-pkg")) == 2


def test_local_versions(again: Again, tmp_path: Path) -> None:
    one = release(tmp_path / "dist", WheelSpec(version="2.0+cpu"))
    again().put(one)
    assert [file.file for file in again().files("demo")] == [one.name.file]


def test_plan_and_publish(again: Again, tmp_path: Path) -> None:
    wheels = [release(tmp_path / "dist", WheelSpec(version=f"1.{number}")) for number in range(4)]
    again().put(wheels[0])
    registry = again()
    plan = plan_uploads(registry, wheels)
    assert [upload.action for upload in plan] == [Action.SKIP, Action.UPLOAD, Action.UPLOAD, Action.UPLOAD]
    assert [outcome.error for outcome in journaled(registry, plan, tmp_path)] == [None] * 4
    assert {upload.action for upload in plan_uploads(again(), wheels)} == {Action.SKIP}
    other = release(tmp_path / "other", WheelSpec(version="1.2"), salt=b"other")
    registry = again()
    plan = plan_uploads(registry, [other, release(tmp_path / "dist", WheelSpec(version="1.9"))])
    with pytest.raises(ConflictError, match="nothing was published"):
        journaled(registry, plan, tmp_path)
    assert len(again().files("demo")) == 4


def test_what_is_there_can_be_read_back_and_copied_out(again: Again, tmp_path: Path) -> None:
    one = release(tmp_path / "dist")
    again().check_access()
    again().put(one)
    again().confirm(one.project, one.name.file, one.sha256)
    with pytest.raises(RegistryContentError):
        again().confirm(one.project, one.name.file, "0" * 64)
    (file,) = again().files("demo")
    again().fetch("demo", file, tmp_path / "copy" / file.file)
    assert sha256_file(tmp_path / "copy" / file.file) == one.sha256
    gone = file.__class__(file.file.replace("1.0", "9.9"), "0" * 64)
    with pytest.raises((PublishError, NetworkError)) as caught:
        again().fetch("demo", gone, tmp_path / "copy" / gone.file)
    assert gone.file in str(caught.value)
    assert not (tmp_path / "copy" / gone.file).exists()


def test_what_is_removed_is_gone_and_the_rest_is_not(again: Again, tmp_path: Path) -> None:
    specs = [WheelSpec(version=version, python=python, abi=python) for version in "12" for python in ("cp312", "cp313")]
    wheels = [release(tmp_path / "dist", spec) for spec in specs]
    for one in wheels:
        again().put(one)
    again().remove("demo", [wheels[0].name.file, wheels[2].name.file, wheels[3].name.file])
    assert [file.file for file in again().files("demo")] == [wheels[1].name.file]
    with pytest.raises(PublishError, match=r"there is no|has no"):
        again().remove("demo", [wheels[1].name.file, wheels[0].name.file])
    assert len(again().files("demo")) == 1
    again().remove("demo", [wheels[1].name.file])
    assert again().files("demo") == ()
    assert again().projects() == ()
    assert again().put(wheels[0])  # a name that was deleted may come again


def test_only_what_is_there_can_be_yanked(again: Again, tmp_path: Path) -> None:
    one = release(tmp_path / "dist")
    again().put(one)
    shows = again().yank("demo", one.name.file, "crashes on some boards")
    assert again().files("demo")[0].yanked == ("crashes on some boards" if shows else None)
    assert again().yank("demo", one.name.file, None) == shows
    assert again().files("demo")[0].yanked is None
    with pytest.raises(PublishError):
        again().yank("demo", "demo-2.0-cp313-cp313-manylinux_2_39_riscv64.whl", "")
