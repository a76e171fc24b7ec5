"""What every adapter of the Registry port must do. A new adapter is a new entry in ``registry``, nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.wheels import WheelSpec
from wheelyard.core.digests import sha256_bytes, sha256_file
from wheelyard.core.errors import ConflictError, PublishError
from wheelyard.stages.registry import Action, FolderRegistry, Registry, Release, plan_uploads, publish, read_release

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Again = Callable[[], Registry]


@pytest.fixture(params=["folder"])
def again(request: pytest.FixtureRequest, tmp_path: Path) -> Again:
    """A function that connects to one and the same empty registry, as another process would."""
    adapters = {"folder": lambda: FolderRegistry(tmp_path / "index")}
    connect: Again = adapters[request.param]
    return connect


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
    assert (file.file, file.sha256, file.size) == (one.name.file, one.sha256, one.size)
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
    plan = plan_uploads(again(), wheels)
    assert [upload.action for upload in plan] == [Action.SKIP, Action.UPLOAD, Action.UPLOAD, Action.UPLOAD]
    assert publish(again(), plan) == 3
    assert {upload.action for upload in plan_uploads(again(), wheels)} == {Action.SKIP}
    other = release(tmp_path / "other", WheelSpec(version="1.2"), salt=b"other")
    plan = plan_uploads(again(), [other, release(tmp_path / "dist", WheelSpec(version="1.9"))])
    with pytest.raises(ConflictError, match="nothing was published"):
        publish(again(), plan)
    assert len(again().files("demo")) == 4
