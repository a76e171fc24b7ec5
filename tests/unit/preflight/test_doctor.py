"""The doctor's report: complete, with a fix for every missing thing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wheelyard.io import engine
from wheelyard.preflight import doctor
from wheelyard.preflight.doctor import DoctorReport, MachineCheck
from wheelyard.project.config import find_project

ROOT = Path(__file__).parents[3]


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with nothing on PATH, no cache, and no network but a closed port."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("WHEELYARD_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    engine.find.cache_clear()


def check(name: str, state: doctor.State, text: str, fix: str = "") -> MachineCheck:
    return MachineCheck(name=name, state=state, text=text, fix=fix)


def report_of(*checks: MachineCheck) -> DoctorReport:
    return DoctorReport(machine="riscv64", findings=checks)


def test_one_missing_thing_is_enough_to_fail() -> None:
    good, note, bad = check("a", "ok", ""), check("b", "note", ""), check("c", "missing", "", "mend it")
    assert report_of(good, note).ok
    assert not report_of(good, note, bad).ok


def test_json_names_its_schema() -> None:
    found = json.loads(report_of(check("a", "missing", "gone", "mend it")).model_dump_json())
    assert (found["schema"], found["version"], found["ok"]) == ("wheelyard/doctor", 1, False)
    assert found["findings"] == [{"name": "a", "state": "missing", "text": "gone", "fix": "mend it"}]


@pytest.mark.usefixtures("bare")
def test_on_a_bare_machine_everything_missing_is_reported_with_its_fix() -> None:
    try:
        report = doctor.examine(find_project(ROOT))
    finally:
        engine.find.cache_clear()
    missing = {finding.name: finding for finding in report.findings if finding.state == "missing"}
    assert {"git", "engine", "mmdebstrap", "index"} <= set(missing)
    assert all(finding.fix for finding in missing.values())
    assert "bootstrap" in missing["engine"].fix
    states = {finding.name: finding.state for finding in report.findings}
    assert states["registry"] == "note"
    assert not report.ok


def test_another_cibuildwheel_than_the_pinned_one_is_missing(tmp_path: Path) -> None:
    (tmp_path / "ci").mkdir()
    (tmp_path / "ci/requirements.txt").write_text("cibuildwheel==1.0 \\\n    --hash=sha256:00\n")
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    finding = doctor._cibuildwheel(find_project(tmp_path))
    assert finding.state == "missing"
    assert "the pin is 1.0" in finding.text
