"""What people read: summaries and tables, and nothing in them that comes from outside unlooked at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from wheelyard.builder.build_package import BuildReport, StepTime
from wheelyard.ci.review_report import ReviewFinding, ReviewReport
from wheelyard.cli.build import build_text
from wheelyard.cli.doctor import doctor_text
from wheelyard.cli.image import images_text
from wheelyard.cli.output import as_json
from wheelyard.cli.plan import plans_text
from wheelyard.cli.publish import publication_text
from wheelyard.cli.review import review_text
from wheelyard.core.errors import RecipeError
from wheelyard.core.tags import Interpreter
from wheelyard.core.values import ExpectedWheel, Image, ImageChoice
from wheelyard.images.manage_images import ImagesReport, StoredImage
from wheelyard.io import log
from wheelyard.planning.plan import Omission, Plan
from wheelyard.planning.plan_packages import Plans
from wheelyard.preflight.doctor import DoctorReport, MachineCheck
from wheelyard.project.config import Project, SiteConfig
from wheelyard.records.models import Finding, ImageRecord, SourceRecord, TestRecord, Verdict, WheelRecord, WheelVerdict
from wheelyard.registries.open_registry import open_registry
from wheelyard.registries.publish_wheels import Publication

if TYPE_CHECKING:
    from collections.abc import Iterator

POLICY = SiteConfig.model_validate({"interpreters": ["cp313"], "policy": "manylinux_2_39_riscv64"})
CP313 = Interpreter.parse("cp313")
CP314 = Interpreter.parse("cp314")
WHEEL = "demo-1.0-cp313-cp313-manylinux_2_39_riscv64.whl"
IMAGE = Image(
    kind="local",
    reference="localhost/image:1",
    digest="sha256:1",
    interpreters=(CP313,),
    policy="manylinux_2_39_riscv64",
    glibc="2.41",
    gcc="14",
    suite="trixie",
    public=False,
    definition="a" * 64,
    choice=ImageChoice("local"),
)


def record_of(wheel: str = WHEEL, **tests: Any) -> WheelRecord:
    return WheelRecord(
        package="demo",
        package_version="1.0",
        wheel=wheel,
        sha256="1" * 64,
        size=12_345,
        interpreters=("cp313",),
        fingerprint="2" * 64,
        source=SourceRecord(kind="sdist", name="demo-1.0.tar.gz", sha256="3" * 64),
        recipe="4" * 64,
        image=ImageRecord(kind="local", reference="localhost/image:1", digest="sha256:1"),
        tools={},
        durations={},
        tests=TestRecord(**({"ran": True, "summary": "7 passed"} | tests)),
        verdict="passed",
        built_at="2026-11-22T10:00:00+00:00",
    )


def report_of(
    *, built: tuple[WheelRecord, ...] = (), reused: tuple[WheelRecord, ...] = (), root: str = "/site"
) -> BuildReport:
    finding = Finding(rule="record", ok=True, text="seen")
    verdict = Verdict(
        package="demo",
        package_version="1.0",
        wheels=tuple(WheelVerdict(wheel=one.wheel, sha256=one.sha256, findings=(finding,)) for one in built),
        overall=(Finding(rule="expected-wheels", ok=True, text="seen"),),
    )
    return BuildReport(
        package="demo",
        package_version="1.0",
        folder=Path(f"{root}/dist/demo/1.0"),
        image="localhost/image:1",
        built=built,
        reused=reused,
        verdict=verdict if built else None,
        steps=(StepTime(title="Preparing source", seconds=1.24), StepTime(title="Building wheel (cp313)", seconds=75)),
        seconds=130,
        notes=("upstream ships it by now",),
    )


def test_a_summary_says_what_where_how_long_what_was_checked_and_how_to_install() -> None:
    text = build_text(report_of(built=(record_of(subset="no network"),)))
    assert text.splitlines()[1:] == [
        "demo 1.0 on localhost/image:1",
        "",
        "wheels in /site/dist/demo/1.0",
        f"  {WHEEL}  12 kB",
        "    tests: 7 passed (a subset: no network)",
        "",
        "step                    time",
        "----------------------- ----------",
        "Preparing source        1.2 s",
        "Building wheel (cp313)  75 s",
        "in all                  2 min 10 s",
        "",
        "checked (2 findings, all well): record, expected-wheels",
        "",
        "note: upstream ships it by now",
        "",
        "install on riscv64:",
        f"  pip install /site/dist/demo/1.0/{WHEEL}",
        "or from an index folder:",
        "  wheelyard publish --to dist/index demo",
        "  pip install demo --prefer-binary --extra-index-url file:///site/dist/index/simple/",
    ]


def test_what_was_built_before_is_said_and_has_no_steps() -> None:
    text = build_text(report_of(reused=(record_of(),)))
    assert "nothing to build: the same inputs were built before" in text
    assert f"  {WHEEL}  12 kB  (built before)" in text
    assert "Preparing source" not in text
    assert "checked" not in text


def test_half_of_it_built_before() -> None:
    other = WHEEL.replace("cp313", "cp314")
    text = build_text(report_of(built=(record_of(),), reused=(record_of(other),)))
    assert "nothing to build" not in text
    assert f"{WHEEL}  12 kB\n" in text
    assert f"{other}  12 kB  (built before)" in text


def test_tests_that_did_not_run_are_not_passed_over() -> None:
    for tests, said in (
        ({"ran": False}, "tests: none ran"),
        ({"summary": ""}, "tests: passed"),
        ({"summary": "7 \x1b]0;owned\x07passed\n::error::x"}, "tests: 7  ]0;owned passed ::error::x"),
    ):
        assert said in build_text(report_of(built=(record_of(**tests),)))


def publication_of(folder: Path, *, dry_run: bool) -> Publication:
    registry = open_registry(Project(Path("/project"), POLICY), str(folder))
    return Publication(registry, (), (), (), (), dry_run=dry_run)


def test_commands_survive_a_folder_with_a_blank_in_its_name() -> None:
    text = build_text(report_of(built=(record_of(),), root="/my site"))
    assert f"pip install '/my site/dist/demo/1.0/{WHEEL}'" in text
    assert "--extra-index-url file:///my%20site/dist/index/simple/" in text
    published = publication_text(publication_of(Path("/my site/index"), dry_run=False))
    assert "--extra-index-url file:///my%20site/index/simple/" in published


def test_a_dry_run_says_that_nothing_was_written() -> None:
    text = publication_text(publication_of(Path("/index"), dry_run=True))
    assert "nothing was written" in text
    assert "pip install" not in text


# ------------------------------------------------------------------------ plans


def plan_of(package: str, *interpreters: Interpreter, omitted: str = "the image does not have it") -> Plan:
    wheels = tuple(ExpectedWheel(package, "1.0", str(each), str(each), (each,)) for each in interpreters)
    omissions = (Omission(CP314, omitted),) if omitted else ()
    return Plan(package, "1.0", IMAGE, interpreters, omissions, wheels, (), ())


def test_the_same_reason_is_given_once() -> None:
    text = plans_text(Plans(tuple(plan_of(name, CP313) for name in ("a", "b", "c")), ()))
    assert text.count("the image does not have it") == 1
    assert "cp314: the image does not have it (a, b, c)" in text
    many = plans_text(Plans(tuple(plan_of(name, CP313) for name in "abcd"), ()))
    assert "cp314: the image does not have it (4 packages)" in many


def test_a_packages_name_stands_once_above_its_wheels() -> None:
    lines = plans_text(Plans((plan_of("a", CP313, CP314, omitted=""),), ())).splitlines()
    assert lines[2].startswith("a        1.0      cp313")
    assert lines[3].split() == ["cp314", "a-1.0-cp314-cp314-manylinux_*_riscv64.whl"]
    assert len(lines) == 4


def test_the_first_problem_is_left_to_the_error_that_ends_the_run() -> None:
    problems = (RecipeError("first"), RecipeError("second", where="recipes/b/recipe.toml:1", fix="mend it"))
    assert plans_text(Plans((), problems)) == "error: recipes/b/recipe.toml:1: second\n  fix: mend it"
    assert plans_text(Plans((), problems[:1])) == ""


# ---------------------------------------------------------------------- machine


def test_the_doctor_ends_with_the_fixes_of_what_is_missing() -> None:
    disk = MachineCheck(name="disk", state="ok", text="20 GiB")
    engine = MachineCheck(name="engine", state="missing", text="no podman", fix="apt-get install podman")
    report = DoctorReport(machine="riscv64", findings=(disk, engine))
    text = doctor_text(report)
    assert text.endswith("To fix:\n  engine: apt-get install podman")
    assert "missing  engine  no podman" in text
    assert doctor_text(report.model_copy(update={"findings": (disk,)})).endswith("This machine can build.")


def test_the_image_that_builds_use_bears_a_star() -> None:
    labels = {"wheelyard.image.interpreters": "cp313"}
    chosen, other = (
        StoredImage(
            reference=f"localhost/image:{i}", digest=f"sha256:{i}", platform="linux/riscv64", size=size, labels=labels
        )
        for i, size in ((1, 815_000_000), (2, 1))
    )
    report = ImagesReport(chosen="localhost/image:1", interpreters=("cp313",), stored=(chosen, other))
    lines = images_text(report).splitlines()
    assert lines[2].split() == ["*", "localhost/image:1", "cp313", "815", "MB", "sha256:1"]
    assert not lines[3].startswith("*")
    missing = images_text(report.model_copy(update={"stored": (other,)})).splitlines()
    assert missing[2].startswith("*")
    assert "localhost/image:1" in missing[2]
    assert missing[2].endswith("not here yet")


COMMAND = "##[set-output name=jobs]all"


@pytest.fixture
def github() -> Iterator[None]:
    log.setup(log.Face.GITHUB)
    yield
    log.setup(log.Face.PLAIN)


def test_json_says_the_same_and_commands_nobody() -> None:
    text = as_json({"said": f"#{COMMAND}"})
    assert json.loads(text) == {"said": f"#{COMMAND}"}
    assert "##[" not in text


@pytest.mark.usefixtures("github")
def test_what_results_quote_commands_nobody() -> None:
    finding = ReviewFinding(kind="record", where=f"packages/{COMMAND}/lock.toml", text=COMMAND, fix=f"x\n::{COMMAND}")
    review = review_text(ReviewReport(commit_range="a..b", commits=1, recipes=1, findings=(finding,)))
    plans = plans_text(Plans((), (RecipeError("one"), RecipeError(COMMAND, details=[f"\n::{COMMAND}"]))))
    for text in (review, plans):
        assert "set-output" in text
        assert not [line for line in text.splitlines() if "##[" in line or line.lstrip().startswith("::")]
