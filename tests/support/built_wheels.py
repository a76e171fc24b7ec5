"""Wheels in ``dist/`` that have passed, as builds leave them, and the real command line over them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from support.wheels import WheelSpec
from wheelyard.core.digests import sha256_file
from wheelyard.records.models import (
    Finding,
    ImageRecord,
    PatchRecord,
    SourceRecord,
    TestRecord,
    Verdict,
    WheelRecord,
    WheelVerdict,
)
from wheelyard.records.wheel_records import write_record, write_verdict

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PROJECT = "riseproject/python/wheel_builder"
PYPROJECT = """\
[tool.wheelyard]
interpreters = ["cp313"]
policy = "manylinux_2_39_riscv64"

[tool.wheelyard.registries.gitlab]
kind = "gitlab"
url = "{url}"
project = "{project}"
{more}
"""
NO_TOKENS = ("CI_JOB_TOKEN", "CI_SERVER_URL", "WHEELYARD_GITLAB_TOKEN", "PYTHON_GITLAB_CFG", "NETRC")


def specs(count: int, *, name: str = "demo", pythons: tuple[str, ...] = ("cp312", "cp313")) -> list[WheelSpec]:
    """Return *count* wheels: several of each version."""
    return [
        WheelSpec(name=name, version=f"1.{number // len(pythons)}", python=python, abi=python)
        for number, python in enumerate(pythons[index % len(pythons)] for index in range(count))
    ]


@dataclass
class BuiltWheels:
    """A project folder.

    Attributes:
        root: the project.
        url: the GitLab server that it publishes to.
        home: an empty home folder: no credential of this machine's user is found.
        env: further variables for the command.
        more: further lines of the registry's policy.
    """

    root: Path
    url: str = "http://127.0.0.1:9"
    env: dict[str, str] = field(default_factory=dict)
    more: str = ""

    @property
    def home(self) -> Path:
        return self.root / "home"

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        (self.root / "recipes").mkdir(exist_ok=True)
        self.policy()

    @property
    def environment(self) -> dict[str, str]:
        """All variables of the command."""
        kept = {name: value for name, value in os.environ.items() if name not in NO_TOKENS}
        own = {"HOME": str(self.home), "WHEELYARD_CACHE": str(self.root / "cache"), "NO_PROXY": "127.0.0.1"}
        return kept | own | self.env

    def policy(self) -> None:
        """Write site configuration."""
        text = PYPROJECT.format(url=self.url, project=PROJECT, more=self.more)
        (self.root / "pyproject.toml").write_text(text, encoding="utf-8")

    def add(self, *wheels: WheelSpec, kind: str = "official", salt: bytes = b"", patched: bool = False) -> list[Path]:
        """Put wheels into ``dist/``, each version with its verdict; return their paths."""
        made = []
        for spec in wheels:
            folder = self.root / "dist" / spec.escaped.replace("_", "-") / spec.version
            path = spec.write(folder, salt=salt)
            write_record(folder, record_of(path, spec, kind=kind, patched=patched))
            made.append(path)
        for folder in {path.parent for path in made}:
            write_verdict(folder, verdict_of(folder.parent.name, folder.name, sorted(folder.glob("*.whl"))))
        return made

    def rerecord(self, wheel: Path, spec: WheelSpec) -> None:
        """Let a wheel that was changed have passed as it is now."""
        write_record(wheel.parent, record_of(wheel, spec))
        write_verdict(wheel.parent, verdict_of(wheel.parent.parent.name, wheel.parent.name, [wheel]))

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start the command."""
        return self._start([sys.executable, "-m", "wheelyard", *words])

    def shell(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run a line as people type it."""
        with self._start(["bash", "-euc", text]) as process:
            out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(text, process.returncode, out, err)

    def _start(self, argv: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            argv,
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        with self.start(*words) as process:
            out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(words, process.returncode, out, err)


def record_of(wheel: Path, spec: WheelSpec, *, kind: str = "official", patched: bool = False) -> WheelRecord:
    """Return the record of a wheel that passed."""
    return WheelRecord.model_validate(
        {
            "package": spec.escaped.replace("_", "-"),
            "package_version": spec.version,
            "wheel": wheel.name,
            "sha256": sha256_file(wheel),
            "size": wheel.stat().st_size,
            "interpreters": (spec.python,),
            "fingerprint": "1" * 64,
            "source": SourceRecord(kind="sdist", name=f"{spec.name}-{spec.version}.tar.gz", sha256="2" * 64),
            "recipe": "3" * 64,
            "patches": (PatchRecord(file="a.patch", sha256="4" * 64, status="To upstream [soon]"),) if patched else (),
            "image": ImageRecord.model_validate({"kind": kind, "reference": kind, "digest": f"sha256:{'5' * 64}"}),
            "tools": {"cibuildwheel": "4.3.3"},
            "durations": {"build": 1.5},
            "tests": TestRecord(ran=False),
            "verdict": "passed",
            "built_at": "2026-11-22T10:00:00Z",
        }
    )


def verdict_of(package: str, version: str, wheels: Iterable[Path], *, ok: bool = True) -> Verdict:
    """Return the verdict on the wheels of one version."""
    return Verdict(
        package=package,
        package_version=version,
        wheels=tuple(
            WheelVerdict(
                wheel=wheel.name, sha256=sha256_file(wheel), findings=(Finding(rule="record", ok=ok, text="seen"),)
            )
            for wheel in wheels
        ),
        overall=(Finding(rule="expected-wheels", ok=True, text="seen"),),
    )
