"""A job of a plan, as a forge's machine runs it: what it leaves behind, however it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from support.tiny import add_tiny
from wheelyard.ci.outcome import outcomes
from wheelyard.ci.run_planned_job import artifact_name
from wheelyard.records.wheel_records import read_record

if TYPE_CHECKING:
    from pathlib import Path

    from support.site import Site

KEY = "8" * 64


def ticket(**changes: object) -> str:
    row = {"name": "tiny 1.0 cp313", "package": "tiny", "version": "1.0", "wheels": ["cp313"], "key": KEY}
    return json.dumps(row | {"image": "local"} | changes)


def command(site: Site, *words: str, job: str = "", output: Path | None = None) -> subprocess.Popen[str]:
    env = site.env | {"WHEELYARD_JOB": job or ticket()} | ({"GITHUB_OUTPUT": str(output)} if output else {})
    return subprocess.Popen(
        [sys.executable, "-m", "wheelyard", *words],
        cwd=site.root,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run(site: Site, *words: str, job: str = "", output: Path | None = None) -> tuple[int, str]:
    with command(site, *words, job=job, output=output) as process:
        said, _ = process.communicate(timeout=400)
    return process.returncode, said


def handed_on(output: Path) -> tuple[str, set[str]]:
    """Return the name of the artifact and what is in it, as GitHub reads them: the last ones count."""
    found = re.findall(r"artifact=(.+)\npath<<(\w+)\n((?:.+\n)*?)\2\n", output.read_text(encoding="utf-8"))
    name, _, files = found[-1]
    return name, set(files.split())


def planned(site: Site) -> None:
    code, said = run(site, "ci", "plan", "tiny", "--image", "local", "--format", "github", "--out", "dist/jobs")
    assert code == 0, said


def test_a_job_is_killed_and_tried_again_and_then_has_nothing_to_do(site: Site) -> None:
    add_tiny(site.index)
    planned(site)
    row = json.loads((site.root / "dist/jobs/wave-1-rest-1.json").read_text())["include"][0]
    folder, output, kept = site.root / "dist/tiny/1.0", site.root / "output", site.root / "kept"
    words = ("ci", "run-job", "--wheel", "0", "--out", str(kept))
    with command(site, *words, job=json.dumps(row), output=output) as process:
        assert process.stdout
        for line in process.stdout:
            if "the backend is at work" in line or "Building wheel" in line:
                os.kill(process.pid, signal.SIGKILL)
                break
        process.stdout.read()
    assert list(outcomes(folder)) == []
    assert not kept.exists()
    name, files = handed_on(output)  # while it is under way: what there may be when it dies
    assert name == artifact_name("tiny", "1.0", ("cp313",), str(row["key"]))
    assert {file for file in files if (site.root / file).exists()} == {"dist/tiny/1.0/build-cp313.log"}
    code, said = run(site, "ci", "report")
    assert (code, "ended without a result" in said) == (43, True), said

    code, said = run(site, *words, job=json.dumps(row), output=output)
    assert code == 0, said
    (outcome,) = outcomes(folder)
    wheel = site.wheels[0]
    assert (outcome.state, outcome.files, outcome.fingerprint) == (
        "built",
        (wheel.name,),
        read_record(wheel).fingerprint,
    )
    name, files = handed_on(output)
    assert name == artifact_name("tiny", "1.0", ("cp313",), outcome.fingerprint)
    whole = {wheel.name, f"{wheel.name}.json", "verdict.json", outcome.file, "build-cp313.log"}
    assert {file.rpartition("/")[2] for file in files} == whole
    assert all((site.root / file).is_file() for file in files)
    assert {file.name for file in kept.iterdir()} == whole
    assert (kept / wheel.name).read_bytes() == wheel.read_bytes()
    assert run(site, "ci", "report")[0] == 0

    code, said = run(site, "ci", "run-job", job=json.dumps(row))
    assert (code, [each.state for each in outcomes(folder)]) == (0, ["reused"]), said
    assert site.nothing_left()


def test_a_wheel_that_fails_leaves_word_of_what_mattered(site: Site) -> None:
    add_tiny(site.index, mode="nothing")
    planned(site)
    code, said = run(site, "ci", "run-job", output=site.root / "output")
    assert code == 40, said
    (outcome,) = outcomes(site.root / "dist/tiny/1.0")
    assert outcome.state == "failed"
    assert outcome.failure is not None
    assert "nothing to build here" in outcome.failure.line
    name, files = handed_on(site.root / "output")
    assert name == artifact_name("tiny", "1.0", ("cp313",), KEY)
    assert f"dist/tiny/1.0/{outcome.file}" in files


def test_a_job_whose_needed_wheel_is_nowhere_is_stopped(site: Site) -> None:
    add_tiny(site.index)
    site.recipe('[build]\nneeds = ["other"]\n')
    (site.root / "recipes/other").mkdir()
    (site.root / "recipes/other/recipe.toml").touch()
    code, said = run(site, "ci", "run-job")
    assert code == 23, said
    (outcome,) = outcomes(site.root / "dist/tiny/1.0")
    assert outcome.state == "stopped"


def test_a_job_must_be_given(site: Site) -> None:
    add_tiny(site.index)
    code, said = run(site, "ci", "run-job", job="{}")
    assert (code, "package: Field required" in said) == (4, True), said
    code, said = run(site, "ci", "run-job", "--wheel", "3")
    assert (code, "no number 3" in said) == (4, True), said
