"""``plan`` with jobs: what is due by names and by records, what jobs say, and the command line of it all."""

from __future__ import annotations

import json
import signal
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml  # type: ignore[import-untyped]

from support.project import PYPROJECT, make_project
from support.schemas import validator
from wheelyard.ci.plan_jobs import schedule
from wheelyard.cli import main as command_line
from wheelyard.core.errors import PlanError, UnknownPackageError
from wheelyard.core.values import ImageChoice
from wheelyard.images import resolve
from wheelyard.planning import build_requires
from wheelyard.planning import selection as due
from wheelyard.planning.fingerprint import wheel_fingerprint
from wheelyard.planning.plan import make_plan
from wheelyard.planning.target import find_target
from wheelyard.records import durations, history, lockfile, releases
from wheelyard.records.durations import Duration
from wheelyard.records.history import HistoryEntry
from wheelyard.records.models import LockedVersion
from wheelyard.records.releases import ReleasedFile
from wheelyard.sources.prepare import identity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wheelyard.planning.selection import Selection
    from wheelyard.project.config import Project

ROOT = Path(__file__).parents[3]
SITE = (
    PYPROJECT.replace("[tool.wheelyard]", '[tool.wheelyard]\nimage = "official"')
    + """
[tool.wheelyard.registries.ours]
kind = "directory"
path = "dist/index"

[tool.wheelyard.runners]
count = 4
image-start = "2min"
"""
)
PAIRS = ("cp312-cp312", "cp313-cp313", "cp314-cp314", "cp314-cp314t")
RECIPES = {
    "base/recipe.toml": "",
    "user/recipe.toml": '[build]\nneeds = ["base"]\nrunner = "riscv-large"\ntimeout = "1h"\n',
    "stable/recipe.toml": '[test]\nneeds = ["user"]\n',
}


def locked(version: str, *pairs: str, ships: tuple[str, ...] = ()) -> LockedVersion:
    return LockedVersion(
        version=version,
        file=f"x-{version}.tar.gz",
        size=1,
        sha256="1" * 64,
        wheels=pairs or PAIRS,
        reference="aarch64",
        ships=ships,
    )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = make_project(tmp_path, RECIPES, pyproject=SITE)
    for name in ("base", "user"):
        lockfile.pin(lockfile.lock_file(made.packages, name), locked("1.0"))
    lockfile.pin(lockfile.lock_file(made.packages, "stable"), locked("1.0", "cp312-abi3", "cp314-cp314t"))
    return made


def released(name: str, version: str, pair: str, where: str = "ours") -> ReleasedFile:
    tags = f"{pair}-manylinux_2_39_riscv64"
    return ReleasedFile(file=f"{name}-{version}-{tags}.whl", where=where, sha256="0" * 64, size=1, tags=(tags,))


def record(project: Project, package: str, *entries: ReleasedFile) -> None:
    releases.record(releases.RELEASES.path(project.packages, package), entries)


def shown(selection: Selection) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in selection.due:
        found.setdefault(f"{each.target.package} {each.target.version}", []).extend(
            f"{wheel.python}-{wheel.abi}" for wheel in each.wheels
        )
    return found


# ------------------------------------------------------------------ what is due


def test_by_name_all_is_due_of_what_is_named(project: Project) -> None:
    assert shown(due.by_name(due.DuePlanner(project), ["Base"])) == {"base 1.0": list(PAIRS)}
    assert set(shown(due.by_name(due.DuePlanner(project)))) == {"base 1.0", "stable 1.0", "user 1.0"}


def test_what_our_registry_has_is_not_due(project: Project) -> None:
    record(project, "base", *(released("base", "1.0", pair) for pair in PAIRS[:3]))
    record(project, "user", *(released("user", "1.0", pair) for pair in PAIRS))
    record(project, "stable", released("stable", "1.0", "cp312-abi3"))
    found = due.missing(due.DuePlanner(project))
    assert shown(found) == {"base 1.0": ["cp314-cp314t"], "stable 1.0": ["cp314-cp314t"]}
    assert found.due[0].why == "missing for cp314t"


def test_of_two_registries_one_may_be_meant(project: Project) -> None:
    record(project, "base", *(released("base", "1.0", pair, "elsewhere") for pair in PAIRS))
    assert shown(due.missing(due.DuePlanner(project), ["base"])) == {"base 1.0": list(PAIRS)}
    assert shown(due.missing(due.DuePlanner(project), ["base"], registry="elsewhere")) == {}


def test_what_upstream_ships_is_not_due(project: Project) -> None:
    lockfile.pin(lockfile.lock_file(project.packages, "base"), locked("1.1", ships=PAIRS[:2]))
    assert shown(due.missing(due.DuePlanner(project), ["base"]))["base 1.1"] == list(PAIRS[2:])


def test_the_ledger_knows_of_wheels_that_are_not_on_record(project: Project) -> None:
    facts = [HistoryEntry(version="1.0", where="ours", wheel=pair, first=date(2026, 11, 1)) for pair in PAIRS[:3]]
    facts.append(
        HistoryEntry(version="1.0", where="ours", wheel=PAIRS[3], first=date(2026, 11, 1), removed=date(2026, 11, 2))
    )
    history.update(
        history.HISTORY.path(project.packages, "base"),
        facts,
        looked=lambda _version, _where: False,
        today=date(2026, 11, 3),
    )
    path = history.HISTORY.path(project.packages, "base")
    path.write_text(history.HISTORY.dump(facts), encoding="utf-8")
    assert shown(due.missing(due.DuePlanner(project), ["base"])) == {"base 1.0": [PAIRS[3]]}


def test_every_pinned_version_counts_until_it_is_retired(project: Project) -> None:
    file = lockfile.lock_file(project.packages, "base")
    lockfile.pin(file, locked("2.0"))
    lockfile.pin(file, locked("3.0"))
    lockfile.write_lock(file, lockfile.read_lock(file).model_copy(update={"retired": "3.0"}))
    found = due.missing(due.DuePlanner(project), ["base"])
    assert list(shown(found)) == ["base 2.0", "base 1.0"]
    assert found.left_out == (("base", "3.0", "retired: upstream ships it from 3.0 on"),)


def test_what_is_not_pinned_is_left_out(project: Project) -> None:
    (project.recipes / "new").mkdir()
    (project.recipes / "new/recipe.toml").touch()
    assert due.missing(due.DuePlanner(project), ["new"]).left_out == (("new", "", "no version is pinned"),)


def test_one_recipes_mistake_hides_no_other(project: Project) -> None:
    (project.recipes / "base/recipe.toml").write_text("x = 1\n")
    for found in (due.missing(due.DuePlanner(project)), due.by_name(due.DuePlanner(project))):
        assert set(shown(found)) == {"stable 1.0", "user 1.0"}
        assert len(found.problems) == 1


# ------------------------------------------------------------------------- jobs


def test_a_job_says_all_that_a_forge_must_know(project: Project) -> None:
    report = schedule(project, due.by_name(due.DuePlanner(project))).report()
    jobs = {job.package: job for job in report.jobs}
    user = jobs["user"]
    assert (user.runner, jobs["base"].runner) == ("riscv-large", "ubuntu-24.04-riscv")
    assert user.timeout == 4 * 3600 + 2 * 120 + 900  # beyond the recipe's own for each, so that we are who tells
    assert (user.wave, user.needs, user.takes) == (2, (jobs["base"].name,), ("base",))
    assert (jobs["stable"].wave, jobs["stable"].takes) == (3, ("user",))
    assert user.image.choice == "official"
    assert user.image.digest.startswith("sha256:")
    assert [each.pattern for each in jobs["stable"].expected] == [
        "stable-1.0-cp312-abi3-manylinux_*_riscv64.whl",
        "stable-1.0-cp314-cp314t-manylinux_*_riscv64.whl",
    ]
    assert {each.fingerprint for each in user.expected} == {None}  # base is not built yet
    assert report.estimate.timed == 0


def test_the_inputs_of_a_job_are_those_that_a_build_records(project: Project) -> None:
    (job,) = schedule(project, due.by_name(due.DuePlanner(project), ["base"])).report().jobs
    target = find_target(project, "base")
    image = resolve(ImageChoice.parse("official"), project.config.policy, offline=True)
    plan = make_plan("base", target.settings, target.locked, image, project.config)
    mark = identity(target.locked, target.settings, recipe_folder=target.recipe.folder)
    digests = [
        wheel_fingerprint(target, wheel, image, source=mark, needed={}, config=project.config, test=True)
        for wheel in plan.expected
    ]
    assert [each.fingerprint for each in job.expected] == digests


def test_the_runners_label_decides_no_wheel(project: Project) -> None:
    def inputs() -> list[str | None]:
        report = schedule(project, due.by_name(due.DuePlanner(project), ["base"])).report()
        return [each.fingerprint for each in report.jobs[0].expected]

    before = inputs()
    (project.recipes / "base/recipe.toml").write_text('[build]\nrunner = "elsewhere"\n')
    assert inputs() == before
    (project.recipes / "base/recipe.toml").write_text('[test]\ncommand = "true"\n')
    assert inputs() != before


def test_what_tests_need_must_be_in_the_index_as_what_builds_need(project: Project) -> None:
    with pytest.raises(PlanError, match="stable needs wheels of user"):
        build_requires.find(find_target(project, "stable"), project.index)
    folder = project.index / "files/user"
    folder.mkdir(parents=True)
    (folder / "user-1.0-cp313-cp313-manylinux_2_39_riscv64.whl").write_bytes(b"x")
    assert set(build_requires.find(find_target(project, "stable"), project.index)) == {
        "user-1.0-cp313-cp313-manylinux_2_39_riscv64.whl"
    }


@pytest.mark.parametrize("name", ["$(touch evil)", "a b", "--output=evil", "${{ github.token }}"])
def test_a_folder_that_bears_no_package_name_is_told_and_never_planned(project: Project, name: str) -> None:
    (project.recipes / name).mkdir()
    (project.recipes / name / "recipe.toml").touch()
    for found in (due.missing(due.DuePlanner(project)), due.by_name(due.DuePlanner(project))):
        assert [type(problem) for problem in found.problems] == [UnknownPackageError]
        assert set(shown(found)) == {"base 1.0", "stable 1.0", "user 1.0"}


def record_durations(project: Project) -> None:
    """Have `base` take 3000 s for each interpreter, and 60 s before them."""
    day = date(2026, 11, 24)
    entries = [
        Duration(version="0.9", machine="riscv64", interpreter=python, seconds=seconds, day=day)
        for python, seconds in (("", 60), ("cp312", 3000), ("cp313", 3000), ("cp314", 3000), ("cp314t", 3000))
    ]
    durations.DURATIONS.add(durations.DURATIONS.path(project.packages, "base"), entries)


def test_durations_split_a_package(project: Project) -> None:
    record_durations(project)
    made = schedule(project, due.by_name(due.DuePlanner(project), ["base"]))
    assert [job.seconds for job in made.report().jobs] == [120 + 60 + 3000] * 4
    assert made.report().estimate.timed == 4
    assert len(schedule(project, due.by_name(due.DuePlanner(project), ["base"]), runners=1).report().jobs) == 1
    durations.DURATIONS.path(project.packages, "base").write_text("broken")
    assert len(schedule(project, due.by_name(due.DuePlanner(project), ["base"])).report().jobs) == 1


def test_recipes_that_need_each_other_are_told(project: Project) -> None:
    (project.recipes / "base/recipe.toml").write_text('[test]\nneeds = ["stable"]\n')
    with pytest.raises(PlanError, match="base needs stable needs user needs base"):
        schedule(project, due.by_name(due.DuePlanner(project)))


# ----------------------------------------------------------------- command line


class Command:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *words: str) -> tuple[int, str, str]:
        self._monkeypatch.setattr(sys, "argv", ["wheelyard", *words])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        said = self._capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, said.out, said.err


@pytest.fixture
def wheelyard(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    for name in ("GITHUB_ACTIONS", "GITLAB_CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WHEELYARD_INDEX", "http://127.0.0.1:9/simple/")  # nobody answers there
    monkeypatch.chdir(project.root)
    before = signal.getsignal(signal.SIGTERM)
    yield Command(monkeypatch, capsys)
    signal.signal(signal.SIGTERM, before)


def valid(text: str, name: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(text)
    validate = validator(name)
    validate(value)
    return value


def test_a_table_with_its_estimate(wheelyard: Command) -> None:
    code, out, err = wheelyard("ci", "plan", "--format", "table")
    assert (code, err) == (0, "")
    assert "3 jobs, 10 wheels, 4 at once: about 1 h 46 min (no packing beats 36 min 00 s), 106 runner-minutes" in out
    assert "critical path, 1 h 46 min: base 1.0 cp312 cp313 cp314 cp314t, then user 1.0" in out
    assert "3 of them have never been timed: their durations are guessed" in out


def test_json_is_what_its_schema_says(wheelyard: Command) -> None:
    for words in (["--due", "--json"], ["--format", "github"], ["--format", "gitlab", "--json"]):
        code, out, _ = wheelyard("ci", "plan", *words)
        assert code == 0
        value = valid(out, "jobs")
        assert list(dict.fromkeys(job["package"] for job in value["jobs"])) == ["base", "user", "stable"]
        assert bool(value["matrices"]) == ("github" in words)
        assert len(value["jobs"]) == (10 if "gitlab" in words else 3)


def test_gitlabs_pipeline_is_all_of_the_output(wheelyard: Command) -> None:
    code, out, err = wheelyard("ci", "plan", "base", "--format", "gitlab", "--python", "cp313")
    assert (code, err) == (0, "")
    found = yaml.safe_load(out)
    last = {"jobs", "report", "deploy"}
    assert set(found) == {"stages", "variables", "default", ".build", "base 1.0 cp313", *last}


def test_jobs_for_a_forge_are_for_the_official_image_whatever_this_machine_knows(
    wheelyard: Command, project: Project
) -> None:
    site = SITE.replace('image = "official"', 'image = "auto"')
    (project.root / "pyproject.toml").write_text(site)

    def kinds(*words: str) -> set[tuple[str, str]]:
        jobs = valid(wheelyard("ci", "plan", "base", "--json", *words)[1], "jobs")["jobs"]
        return {(job["image"]["kind"], interpreter) for job in jobs for interpreter in job["interpreters"]}

    everywhere = {("official", pair.partition("-")[2]) for pair in PAIRS}
    assert kinds("--format", "github") == kinds("--format", "gitlab") == everywhere
    assert kinds("--format", "table") == {("local", "cp313")}  # what a build on this machine would be
    assert kinds("--format", "github", "--image", "local") == {("local", "cp313")}


def test_on_gitlab_each_wheel_leaves_with_its_own_job_or_as_site_policy_says(
    wheelyard: Command, project: Project
) -> None:
    def jobs() -> list[str]:
        found = yaml.safe_load(wheelyard("ci", "plan", "base", "--format", "gitlab")[1])
        return [name for name in found if name.startswith("base")]

    assert sorted(jobs()) == [f"base 1.0 {pair.partition('-')[2]}" for pair in PAIRS]
    (project.root / "pyproject.toml").write_text(f"{SITE}gitlab-wheels = 3\n")
    assert len(jobs()) == 2
    (project.root / "pyproject.toml").write_text(f"{SITE}gitlab-wheels = 4\n")
    assert jobs() == ["base 1.0 cp312 cp313 cp314 cp314t"]
    (project.root / "pyproject.toml").write_text(f"{SITE}gitlab-jobs = 2\n")  # what the server takes
    assert len(jobs()) == 2
    (project.root / "pyproject.toml").write_text(f"{SITE}gitlab-jobs = 1\n")
    record_durations(project)  # now that they are timed, splitting them is faster
    assert len(jobs()) == 1


def test_files_for_github(wheelyard: Command, project: Project) -> None:
    out = project.root / "out"
    out.mkdir()
    (out / "wave-9-rest-1.json").touch()
    (out / "other").touch()
    code, said, _ = wheelyard("ci", "plan", "--format", "github", "--out", str(out))
    assert code == 0
    assert "critical path" in said
    matrices = {"wave-1-first-1.json", "wave-2-first-1.json", "wave-3-rest-1.json"}
    assert {path.name for path in out.iterdir()} == matrices | {"jobs.json", "outputs", "other"}
    assert (out / "outputs").read_text().splitlines() == [
        "jobs=3",
        "waves=3",
        'wave-1-first=["wave-1-first-1"]',
        'wave-2-first=["wave-2-first-1"]',
        'wave-3-rest=["wave-3-rest-1"]',
    ]
    valid((out / "jobs.json").read_text(), "jobs")
    assert len(json.loads((out / "wave-1-first-1.json").read_text())["include"]) == 1


def test_nothing_due_is_said_in_every_form(wheelyard: Command, project: Project) -> None:
    record(project, "base", *(released("base", "1.0", pair) for pair in PAIRS))
    assert wheelyard("ci", "plan", "base", "--due") == (0, "nothing is due\n", "")
    assert valid(wheelyard("ci", "plan", "base", "--due", "--format", "github")[1], "jobs")["matrices"] == []
    assert "nothing-due" in yaml.safe_load(wheelyard("ci", "plan", "base", "--due", "--format", "gitlab")[1])
    out = project.root / "out"
    assert wheelyard("ci", "plan", "base", "--due", "--format", "github", "--out", str(out))[0] == 0
    assert (out / "outputs").read_text() == "jobs=0\nwaves=0\n"


def test_more_pipelines_than_one_want_a_folder(wheelyard: Command, project: Project) -> None:
    (project.root / "pyproject.toml").write_text(f"{SITE}gitlab-jobs = 1\ngitlab-wheels = 4\n")
    for name in ("base", "user", "stable"):
        (project.recipes / name / "recipe.toml").write_text("")
    code, _, err = wheelyard("ci", "plan", "--format", "gitlab")
    assert (code, "this plan makes 3 pipelines: name a folder with --out" in err) == (2, True)
    assert wheelyard("ci", "plan", "--format", "gitlab", "--out", "out")[0] == 0
    assert len(list((project.root / "out").glob("pipeline-*.yml"))) == 3
    jobs = valid((project.root / "out/jobs.json").read_text(), "jobs")["jobs"]
    assert sorted(job["pipeline"] for job in jobs) == [1, 2, 3]
    for job in jobs:
        pipeline = yaml.safe_load((project.root / f"out/pipeline-{job['pipeline']}.yml").read_text())
        assert job["name"] in pipeline
        assert pipeline["variables"] == {"WHEELYARD_PIPELINE": str(job["pipeline"])}


@pytest.mark.parametrize(
    "words",
    [
        ["--due", "--changed", "a..b"],
        ["base", "--due", "--version", "1.0"],
        ["base", "--changed", "a..b"],
        ["--runners", "0"],
        ["--format", "jenkins"],
    ],
    ids=" ".join,
)
def test_the_command_lines_own_mistakes(wheelyard: Command, words: list[str]) -> None:
    code, out, err = wheelyard("ci", "plan", *words)
    assert (code, out) == (2, "")
    assert "Error: " in err


def test_a_recipes_mistake_is_told_after_all_else(wheelyard: Command, project: Project) -> None:
    (project.recipes / "base/recipe.toml").write_text("x = 1\n")
    code, out, err = wheelyard("ci", "plan", "--due", "--json")
    assert code == 10
    assert [job["package"] for job in valid(out, "jobs")["jobs"]] == ["user", "stable"]
    assert "recipes/base/recipe.toml:1" in err
