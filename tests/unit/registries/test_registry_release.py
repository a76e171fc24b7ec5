"""What is refused before any registry is asked, and what a plan says."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.wheels import WheelSpec
from wheelyard.core.digests import sha256_file
from wheelyard.core.errors import PublishError
from wheelyard.registries import (
    Action,
    DirectoryRegistry,
    RegistryFile,
    Release,
    plan_uploads,
    read_release,
    uploads_table,
)


class Shelf(DirectoryRegistry):
    """A registry that says what it has; planning asks for nothing else."""

    def __init__(self, *known: RegistryFile) -> None:
        super().__init__(Path("/nowhere"))
        self.known = known

    def files(self, project: str) -> tuple[RegistryFile, ...]:  # noqa: ARG002
        return self.known


def release(folder: Path, spec: WheelSpec | None = None, salt: bytes = b"") -> Release:
    wheel = (spec or WheelSpec()).write(folder, salt=salt)
    return read_release(wheel, sha256=sha256_file(wheel))


def test_a_release_is_read_from_the_wheel(tmp_path: Path) -> None:
    found = release(tmp_path, WheelSpec(name="Demo.Pkg", version="2.0+cpu"))
    assert found.project == "demo-pkg"
    assert found.requires_python == ">=3.9"
    assert b"Name: Demo.Pkg" in found.metadata


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (WheelSpec(metadata_name="other"), "METADATA says other 1.0"),
        (WheelSpec(metadata_version="2.0"), "METADATA says demo 2.0"),
        (WheelSpec(metadata_version="not a version"), "METADATA says demo not a version"),
        (WheelSpec(without=("demo-1.0.dist-info/METADATA",)), "0 METADATA files"),
        (WheelSpec(files={"other-1.dist-info/METADATA": b""}), "2 METADATA files"),
        (WheelSpec(files={"demo-1.0.dist-info/METADATA": b"\xff\xfe"}), "does not"),
    ],
)
def test_a_wheel_that_contradicts_itself_is_refused(tmp_path: Path, spec: WheelSpec, said: str) -> None:
    wheel = spec.write(tmp_path)
    with pytest.raises(PublishError, match=said):
        read_release(wheel, sha256=sha256_file(wheel))


@pytest.mark.parametrize(
    "name", ["demo.whl", "demo-1.0.tar.gz", "demo-x-py3-none-any.whl", "de mo-1.0-py3-none-any.whl"]
)
def test_a_file_that_is_no_wheel_is_refused(tmp_path: Path, name: str) -> None:
    path = WheelSpec().write(tmp_path).rename(tmp_path / name)
    with pytest.raises(PublishError, match="is not a wheel"):
        read_release(path, sha256=sha256_file(path))


def test_a_truncated_wheel_is_refused(tmp_path: Path) -> None:
    wheel = WheelSpec().write(tmp_path)
    wheel.write_bytes(wheel.read_bytes()[:-30])
    with pytest.raises(PublishError, match="cannot be read as a wheel"):
        read_release(wheel, sha256=sha256_file(wheel))


def test_a_wheel_changed_after_its_check_is_refused_with_both_digests(tmp_path: Path) -> None:
    wheel = WheelSpec().write(tmp_path)
    before = sha256_file(wheel)
    WheelSpec().write(tmp_path, salt=b"changed")
    with pytest.raises(PublishError) as caught:
        read_release(wheel, sha256=before)
    assert before in str(caught.value)
    assert sha256_file(wheel) in str(caught.value)
    hashed_by_the_caller = read_release(wheel, sha256=before, hashed=True)
    with pytest.raises(PublishError, match="changed after"):
        hashed_by_the_caller.ensure_unchanged()


def test_a_plan_uploads_skips_and_refuses(tmp_path: Path) -> None:
    new, same, other, unknown = (release(tmp_path, WheelSpec(version=f"1.{number}")) for number in range(4))
    shelf = Shelf(
        RegistryFile(same.name.file, same.sha256),
        RegistryFile(other.name.file, "ab" * 32),
        RegistryFile(unknown.name.file, None),
    )
    plan = plan_uploads(shelf, [unknown, other, same, new])
    assert [upload.action for upload in plan] == [Action.UPLOAD, Action.SKIP, Action.REFUSE, Action.REFUSE]
    assert "ab" * 32 in plan[2].reason
    assert other.sha256 in plan[2].reason
    assert "refuse" in uploads_table(plan)


def test_two_wheels_of_one_name_in_one_plan(tmp_path: Path) -> None:
    first = release(tmp_path / "a")
    twin, other = release(tmp_path / "b"), release(tmp_path / "c", salt=b"other")
    assert [one.action for one in plan_uploads(Shelf(), [first, twin])] == [Action.UPLOAD, Action.SKIP]
    assert [one.action for one in plan_uploads(Shelf(), [first, other])] == [Action.UPLOAD, Action.REFUSE]
