"""Write stub wheels: the smallest files that publishing accepts in place of the expected wheels."""

from __future__ import annotations

import hashlib
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from wheelyard.core.digests import record_digest, sha256_bytes, sha256_file
from wheelyard.records.models import Finding, ImageRecord, SourceRecord, TestRecord, Verdict, WheelRecord, WheelVerdict
from wheelyard.records.wheel_records import write_record, write_verdict

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from wheelyard.core.values import ExpectedWheel

_TIME = (2020, 1, 1, 0, 0, 0)


def write_stubs(folder: Path, package: str, version: str, expected: Iterable[ExpectedWheel], platform: str) -> None:
    """Write a stub of each expected wheel into *folder*, with record and verdict, as a build does.

    Args:
        folder: the folder of results, ``<pkg>/<version>``, not in the project's ``dist/``.
        package: the package's canonical name.
        version: its version.
        expected: the wheels.
        platform: their platform tag.

    Raises:
        DiskError: no space, or no right to write there.
    """
    folder.mkdir(parents=True)
    wheels = [(wheel, _wheel(folder, wheel, platform)) for wheel in expected]
    findings = (Finding(rule="stub", ok=True, text="a stub"),)
    verdicts = tuple(WheelVerdict(wheel=path.name, sha256=sha256_file(path), findings=findings) for _, path in wheels)
    write_verdict(folder, Verdict(package=package, package_version=version, wheels=verdicts, overall=findings))
    for wheel, path in wheels:
        write_record(folder, _record(package, version, wheel, path))


def _wheel(folder: Path, wheel: ExpectedWheel, platform: str) -> Path:
    """Write a wheel that holds its metadata and nothing else (PEP 427)."""
    escaped = wheel.name.replace("-", "_")
    tags = [f"{python}-{abi}-{platform}" for python in wheel.python.split(".") for abi in wheel.abi.split(".")]
    info = f"{escaped}-{wheel.version}.dist-info"
    head = ["Wheel-Version: 1.0", "Generator: wheelyard", "Root-Is-Purelib: false"]
    members = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {wheel.name}\nVersion: {wheel.version}\n",
        f"{info}/WHEEL": "\n".join([*head, *(f"Tag: {tag}" for tag in tags), ""]),
    }
    rows = [
        f"{name},sha256={record_digest(hashlib.sha256(text.encode()).digest())},{len(text.encode())}"
        for name, text in members.items()
    ]
    members[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""])
    path = folder / f"{escaped}-{wheel.version}-{wheel.python}-{wheel.abi}-{platform}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(zipfile.ZipInfo(name, _TIME), text)
    return path


def _record(package: str, version: str, wheel: ExpectedWheel, path: Path) -> WheelRecord:
    nothing = sha256_bytes(b"")
    return WheelRecord(
        package=package,
        package_version=version,
        wheel=path.name,
        sha256=sha256_file(path),
        size=path.stat().st_size,
        interpreters=tuple(map(str, wheel.interpreters)),
        fingerprint=nothing,
        source=SourceRecord(kind="sdist", name="stub", sha256=nothing),
        recipe=nothing,
        # Stubs do not check where wheels of a local image may be published.
        image=ImageRecord(kind="official", reference="stub", digest=f"sha256:{nothing}"),
        tools={},
        durations={},
        tests=TestRecord(ran=False),
        verdict="passed",
        built_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
