"""``publish --to gitlab``: the real command against the contract server, with everything that can go wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.built_wheels import PROJECT, BuiltWheels, record_of, specs, verdict_of
from support.gitlab import Fault, GitLab, serve
from support.publishing import FILE, PAGE, UPLOAD, PublishedProject, yard_in
from support.wheels import WheelSpec
from wheelyard.core.digests import sha256_file
from wheelyard.records.lockfile import lock_file, pin
from wheelyard.records.models import LockedVersion
from wheelyard.records.releases import RELEASES
from wheelyard.records.wheel_records import write_record, write_verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date
    from pathlib import Path

YESTERDAY = datetime.now(UTC).date() - timedelta(days=1)


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[PublishedProject]:
    with yard_in(tmp_path) as made:
        yield made


# ------------------------------------------------------------------ as it should be


def test_wheels_go_out_once_and_are_recorded(yard: PublishedProject) -> None:
    wheels = yard.stock.add(*specs(4), patched=True)
    done = yard.publish()
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("upload  demo-") == 4
    assert "4 published" in done.stdout
    yard.exactly(wheels)
    records = RELEASES.read(yard.stock.root / "packages/demo/releases.toml")
    assert [(each.file, each.sha256, each.where) for each in records] == [
        (path.name, sha256_file(path), "gitlab") for path in sorted(wheels)
    ]
    assert {(each.patched, each.source, each.image) for each in records} == {
        (True, f"sha256:{'2' * 64}", f"sha256:{'5' * 64}")
    }
    before = (yard.stock.root / "packages/demo/releases.toml").read_bytes()
    again = yard.publish()
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("skip  demo-") == 4
    assert "4 there before" in again.stdout
    assert yard.uploads == 4
    assert (yard.stock.root / "packages/demo/releases.toml").read_bytes() == before
    assert list((yard.stock.root / "dist/.journal").glob("*.jsonl")) == []


def test_a_dry_run_shows_the_same_table_and_sends_no_write(yard: PublishedProject) -> None:
    yard.stock.add(*specs(3))
    dry = yard.publish("--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert {seen.method for seen in yard.gitlab.requests} == {"GET"}
    assert not (yard.stock.root / "packages").exists()
    wet = yard.publish()
    assert dry.stdout.partition("\n\n")[0] == wet.stdout.partition("\n\n")[0]


def test_json_says_the_same(yard: PublishedProject) -> None:
    (wheel,) = yard.stock.add(WheelSpec())
    report = json.loads(yard.publish("--json").stdout)
    assert (report["schema"], report["version"], report["registry"]) == ("wheelyard/publication", 1, "gitlab")
    assert report["files"] == [
        {
            "file": wheel.name,
            "sha256": sha256_file(wheel),
            "size": wheel.stat().st_size,
            "action": "upload",
            "error": None,
        }
    ]


def test_local_versions_and_spellings_of_a_name(yard: PublishedProject) -> None:
    wheels = yard.stock.add(WheelSpec(name="Torch.Vision", version="2.0+cpu"), WheelSpec(name="torch_vision"))
    done = yard.publish()
    assert done.returncode == 0, done.stderr
    yard.exactly(wheels)
    assert {file.package_name for file in yard.gitlab.files(yard.project)} == {"torch-vision"}
    assert "2 there before" in yard.publish().stdout


@pytest.mark.parametrize("salt", [b"", b"other bytes"])
def test_a_wheel_is_not_doubled_by_another_spelling_of_its_file_name(
    yard: PublishedProject, tmp_path: Path, salt: bytes
) -> None:
    """Older tools keep a name's case and dots; to an installer these are one wheel (PEP 427, PEP 503)."""
    spec = WheelSpec(name="zope-demo")
    (ours,) = yard.stock.add(spec)
    theirs = spec.write(tmp_path, salt=salt).rename(tmp_path / ours.name.replace("zope_demo", "Zope.Demo"))
    yard.upload(theirs, name="zope-demo")
    done = yard.publish()
    assert done.returncode == 61, done.stdout
    assert f"is the same wheel, spelt another way, as {theirs.name}" in done.stderr
    yard.exactly([theirs])


def test_two_spellings_of_one_wheel_do_not_go_together(yard: PublishedProject) -> None:
    spec = WheelSpec(name="zope-demo")
    (ours,) = yard.stock.add(spec)
    twin = ours.with_name(ours.name.replace("zope_demo", "Zope.Demo"))
    twin.write_bytes(ours.read_bytes())
    write_record(twin.parent, record_of(twin, spec))
    write_verdict(twin.parent, verdict_of("zope-demo", "1.0", [ours, twin]))
    done = yard.publish()
    assert done.returncode == 61, done.stdout
    assert "spelt another way" in done.stderr
    yard.exactly([])


def test_what_is_there_under_two_spellings_can_be_published_again(yard: PublishedProject, tmp_path: Path) -> None:
    (ours,) = yard.stock.add(WheelSpec(name="zope-demo"))
    assert yard.publish().returncode == 0
    theirs = ours.rename(tmp_path / ours.name.replace("zope_demo", "Zope.Demo"))
    yard.upload(theirs, name="zope-demo")
    yard.stock.add(WheelSpec(name="zope-demo"))
    done = yard.publish()
    assert done.returncode == 0, done.stderr
    assert "1 there before" in done.stdout


def test_only_named_packages_go(yard: PublishedProject) -> None:
    wheels = yard.stock.add(WheelSpec(name="one"))
    yard.stock.add(WheelSpec(name="two"))
    assert yard.publish("one").returncode == 0
    yard.exactly(wheels)


def test_wheels_of_a_local_image_stay_unless_policy_lets_them(yard: PublishedProject) -> None:
    wheels = yard.stock.add(WheelSpec(), kind="local")
    refused = yard.publish()
    assert refused.returncode == 60
    assert "local image" in refused.stderr
    assert "local-images = true in [tool.wheelyard.registries.gitlab]" in refused.stderr
    yard.exactly([])
    yard.stock.more = "local-images = true"
    yard.stock.policy()
    assert yard.publish().returncode == 0
    yard.exactly(wheels)


def test_a_run_that_holds_everything_back_says_so(yard: PublishedProject) -> None:
    yard.stock.add(WheelSpec(), kind="local")
    done = yard.publish()
    assert done.returncode == 60
    assert "nothing was published" in done.stdout
    assert "nothing was published" in done.stderr
    assert "Publishing" not in done.stderr
    assert "all others are there" not in done.stderr
    dry = yard.publish("--dry-run")
    assert dry.returncode == 60
    assert "no wheel may go" in dry.stderr
    assert "published" not in dry.stdout + dry.stderr


def test_each_reason_has_its_own_fix(yard: PublishedProject, tmp_path: Path) -> None:
    yard.stock.add(WheelSpec(name="local"), kind="local")
    wheels = yard.stock.add(WheelSpec(name="good"))
    (bad,) = yard.stock.add(WheelSpec(name="bad"))
    bad.write_bytes(bad.read_bytes() + b"x")
    done = yard.publish()
    assert done.returncode == 60
    assert "reason(s) to hold wheels back; all others are there" in done.stderr
    told = {line.partition(":")[0].strip(" -"): line for line in done.stderr.splitlines() if "dist/" in line}
    assert "local-images = true" in told["dist/local/1.0"]
    assert "local-images" not in told["dist/bad/1.0"]
    assert "--force" in told["dist/bad/1.0"]
    yard.exactly(wheels)
    text = (yard.stock.root / "pyproject.toml").read_text()
    strict = text.replace("[tool.wheelyard]\n", "[tool.wheelyard]\nlocal-images-to-folders = false\n")
    (yard.stock.root / "pyproject.toml").write_text(strict)
    into = yard.stock.run("publish", "local", "--to", str(tmp_path / "index"))
    assert into.returncode == 60
    assert "local-images-to-folders = true in [tool.wheelyard]" in into.stderr


def test_what_failed_does_not_hide_what_was_held_back(yard: PublishedProject) -> None:
    yard.gitlab.protect(yard.project, "demo", "maintainer")
    yard.stock.add(WheelSpec())
    yard.stock.add(WheelSpec(name="local"), kind="local")
    done = yard.publish()
    assert done.returncode == 60
    assert "Package protected" in done.stderr
    assert "held back: dist/local/1.0: was built in the local image" in done.stderr


@pytest.mark.parametrize("pep691", [False, True])
def test_both_formats_of_the_index(yard: PublishedProject, pep691: bool) -> None:
    yard.gitlab.project_setting.pep691 = pep691
    wheels = yard.stock.add(*specs(2))
    assert yard.publish().returncode == 0
    assert "2 there before" in yard.publish().stdout
    yard.exactly(wheels)


def test_a_private_project_and_another_storage(yard: PublishedProject, tmp_path: Path) -> None:
    private = yard.gitlab.add_project("riseproject/private", visibility="private")
    yard.stock.env["WHEELYARD_GITLAB_TOKEN"] = yard.gitlab.add_deploy_token(private)
    text = (yard.stock.root / "pyproject.toml").read_text().replace(PROJECT, "riseproject/private")
    (yard.stock.root / "pyproject.toml").write_text(text)
    (wheel,) = yard.stock.add(WheelSpec())
    done = yard.publish()
    assert done.returncode == 0, done.stderr
    assert [file.actual_sha256 for file in yard.gitlab.files(private)] == [sha256_file(wheel)]


# ------------------------------------------------------------------ what must be refused


def test_other_bytes_under_the_name_keep_everything_back(yard: PublishedProject) -> None:
    first = yard.stock.add(WheelSpec())
    assert yard.publish().returncode == 0
    yard.stock.add(WheelSpec(), salt=b"other")
    yard.stock.add(WheelSpec(version="2.0"))
    done = yard.publish()
    assert done.returncode == 61
    assert "nothing was published" in done.stderr
    assert len(yard.gitlab.files(yard.project)) == len(first) == yard.uploads


def test_a_wheel_changed_after_its_verdict_stays_and_others_go(yard: PublishedProject) -> None:
    (bad,) = yard.stock.add(WheelSpec(name="bad"))
    wheels = yard.stock.add(WheelSpec(name="good"))
    bad.write_bytes(bad.read_bytes() + b"x")
    done = yard.publish()
    assert done.returncode == 60
    assert "was changed after its verdict" in done.stderr
    yard.exactly(wheels)


def test_a_version_whose_verdict_is_not_passed_stays_and_others_go(yard: PublishedProject) -> None:
    bad = yard.stock.add(*specs(2, name="bad"))
    wheels = yard.stock.add(WheelSpec(name="good"))
    write_verdict(bad[0].parent, verdict_of("bad", "1.0", bad, ok=False))
    done = yard.publish()
    assert done.returncode == 60
    assert "record: seen" in done.stderr
    yard.exactly(wheels)
    (bad[0].parent / "verdict.json").unlink()
    assert "the verdict does not exist" in yard.publish().stderr
    yard.exactly(wheels)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (WheelSpec(metadata_name="other"), "METADATA says other"),
        (WheelSpec(metadata_version="9.9"), "METADATA says demo 9.9"),
    ],
)
def test_a_wheel_whose_metadata_is_anothers_stays(yard: PublishedProject, spec: WheelSpec, said: str) -> None:
    yard.stock.add(spec)
    done = yard.publish()
    assert done.returncode == 60
    assert said in done.stderr
    yard.exactly([])


def test_one_wheel_too_large_does_not_keep_the_others(yard: PublishedProject) -> None:
    yard.gitlab.project_setting.max_file_size = 20_000
    wheels = yard.stock.add(*specs(2))
    yard.stock.add(WheelSpec(name="big", files={"big/data.bin": bytes(range(256)) * 400}, version="3.0"), salt=b"z" * 9)
    big = next(yard.stock.root.glob("dist/big/*/*.whl"))
    if big.stat().st_size <= 20_000:
        yard.gitlab.project_setting.max_file_size = big.stat().st_size - 1
    done = yard.publish()
    assert done.returncode == 60, done.stderr
    assert "File is too large" in done.stderr
    yard.exactly(wheels)
    assert not (yard.stock.root / "packages/big/releases.toml").exists()


def test_a_protected_package_does_not_keep_the_others(yard: PublishedProject) -> None:
    yard.gitlab.protect(yard.project, "demo", "maintainer")
    yard.stock.add(*specs(4))
    wheels = yard.stock.add(*specs(4, name="free"))
    done = yard.publish()
    assert done.returncode == 60, done.stderr
    assert "Package protected" in done.stderr
    assert "protection rule" in done.stderr
    yard.exactly(wheels)


@pytest.mark.parametrize("bad", ["not a zip", "renamed", "another package's name"])
def test_what_is_no_wheel_or_not_this_one_stays_and_others_go(yard: PublishedProject, bad: str) -> None:
    wheels = yard.stock.add(WheelSpec(name="good"))
    spec = WheelSpec(name="bad")
    (wheel,) = yard.stock.add(spec)
    match bad:
        case "not a zip":
            wheel.write_bytes(b"PK\x03\x04 and nothing else")
            yard.stock.rerecord(wheel, spec)
        case "renamed":
            wheel.rename(wheel.with_name(wheel.name.replace("-1.0-", "-1.1-")))
        case _:
            moved = wheel.rename(wheel.with_name(wheel.name.replace("bad-", "worse-")))
            yard.stock.rerecord(moved, spec.but(name="worse"))
    done = yard.publish()
    assert done.returncode == 60, done.stderr
    assert "Traceback" not in done.stderr
    assert "bad/1.0" in done.stderr
    yard.exactly(wheels)


# ------------------------------------------------------------------ who we are


def member(yard: PublishedProject, role: str, scope: str, expires_at: date | None = None) -> str:
    user = yard.gitlab.add_user(role)
    yard.gitlab.add_member(yard.project, user, role)
    return yard.gitlab.add_pat(user, scopes=(scope,), expires_at=expires_at)


def deploy(yard: PublishedProject, **options: Any) -> str:
    return yard.gitlab.add_deploy_token(options.pop("project", yard.project), name="other", **options)


DEAD: dict[str, Callable[[PublishedProject], str]] = {
    "an expired deploy token": lambda yard: deploy(yard, expires_at=YESTERDAY),
    "a deploy token that reads": lambda yard: deploy(yard, scopes=("read_package_registry",)),
    "a deploy token of another project": lambda yard: deploy(yard, project=yard.gitlab.add_project("other/project")),
    "a token that nobody knows": lambda _: "glpat-nobodyknowsthisone",
    "a read-only access token": lambda yard: member(yard, "developer", "read_api"),
    "an expired access token": lambda yard: member(yard, "developer", "api", YESTERDAY),
    "a guest's access token": lambda yard: member(yard, "guest", "api"),
}


@pytest.mark.parametrize("what", DEAD)
def test_a_credential_is_checked_before_any_wheel_is_sent(yard: PublishedProject, what: str) -> None:
    # The project is public: every GET succeeds with any of these (lib/api/pypi_packages.rb allows anonymous reading).
    yard.stock.env["WHEELYARD_GITLAB_TOKEN"] = token = DEAD[what](yard)
    yard.stock.add(*specs(3))
    done = yard.publish()
    assert done.returncode == 62, (what, done.stderr)
    assert "$WHEELYARD_GITLAB_TOKEN" in done.stderr
    assert yard.uploads == 0
    assert token not in done.stdout + done.stderr


def test_without_a_credential(yard: PublishedProject) -> None:
    del yard.stock.env["WHEELYARD_GITLAB_TOKEN"]
    yard.stock.add(WheelSpec())
    assert yard.publish("--dry-run").returncode == 0  # what is public can be read by everybody
    done = yard.publish()
    assert done.returncode == 62
    assert "set WHEELYARD_GITLAB_TOKEN" in done.stderr


@pytest.mark.parametrize("way", ["file", "python-gitlab", "netrc", "job", "pat"])
def test_where_a_credential_may_be(yard: PublishedProject, way: str) -> None:
    token = yard.stock.env.pop("WHEELYARD_GITLAB_TOKEN")
    user = yard.gitlab.add_user("ann")
    yard.gitlab.add_member(yard.project, user, "developer")
    home, env = yard.stock.home, yard.stock.env
    match way:
        case "file":
            (home / "token").write_text(f"{token}\n")
            env["WHEELYARD_GITLAB_TOKEN_FILE"] = str(home / "token")
        case "python-gitlab":
            (home / ".python-gitlab.cfg").write_text(
                "[global]\ndefault = other\n[other]\nurl = https://gitlab.example\nprivate_token = wrong-one\n"
                f"[rise]\nurl = {yard.server.url}\nprivate_token = {token}\n"
            )
        case "netrc":
            (home / ".netrc").write_text(f"machine 127.0.0.1 login somebody password {token}\n")
            (home / ".netrc").chmod(0o600)
        case "job":
            env["CI_JOB_TOKEN"] = token = yard.gitlab.add_job_token(yard.project, user)
            env["CI_SERVER_URL"] = yard.server.url
        case "pat":
            env["WHEELYARD_GITLAB_TOKEN"] = token = yard.gitlab.add_pat(user, scopes=("api",), expires_at=None)
    wheels = yard.stock.add(WheelSpec())
    done = yard.publish()
    assert done.returncode == 0, done.stderr
    yard.exactly(wheels)
    assert token not in done.stdout + done.stderr
    assert all(token not in path.read_text() for path in (yard.stock.root / "packages").rglob("*.toml"))


def test_a_job_token_goes_to_no_other_server(yard: PublishedProject) -> None:
    del yard.stock.env["WHEELYARD_GITLAB_TOKEN"]
    yard.stock.env |= {"CI_JOB_TOKEN": "the-job-token", "CI_SERVER_URL": "https://gitlab.example"}
    yard.stock.add(WheelSpec())
    assert yard.publish().returncode == 62
    assert not any(seen.authorization for seen in yard.gitlab.requests)


def test_an_unknown_project(yard: PublishedProject) -> None:
    text = (yard.stock.root / "pyproject.toml").read_text().replace(PROJECT, "no/such/project")
    (yard.stock.root / "pyproject.toml").write_text(text)
    yard.stock.add(WheelSpec())
    done = yard.publish()
    assert done.returncode == 60
    assert "there is no such project" in done.stderr
    assert "[tool.wheelyard.registries]" in done.stderr


def test_credentials_do_not_follow_a_redirect(yard: PublishedProject, tmp_path: Path) -> None:
    other = GitLab(tmp_path / "other")
    yard.stock.add(WheelSpec())
    with serve(other) as thief:
        for what in (UPLOAD, PAGE):
            yard.gitlab.heal()
            yard.gitlab.fault(Fault("redirect", location=thief.url, **what))
            done = yard.publish()
            assert done.returncode in {62, 63, 70}, done.stderr
        yard.gitlab.heal()
        yard.gitlab.fault(Fault("redirect", location=f"{thief.url}/elsewhere", **FILE))
        yard.stock.add(WheelSpec(version="2.0"))
        assert yard.publish().returncode == 63  # it was sent, and cannot be read back
    assert not any(seen.authorization for seen in other.requests)


def test_a_certificate_that_nobody_trusts(tmp_path: Path) -> None:
    gitlab = GitLab(tmp_path / "gitlab")
    project = gitlab.add_project(PROJECT)
    with serve(gitlab, tls=True) as server:
        stock = BuiltWheels(tmp_path / "project", server.url)
        stock.env["WHEELYARD_GITLAB_TOKEN"] = gitlab.add_deploy_token(project)
        (wheel,) = stock.add(WheelSpec())
        done = stock.run("publish", "--to", "gitlab")
        assert done.returncode == 70
        assert "certificate" in done.stderr
        assert "ca-bundle" in done.stderr
        stock.more = f'ca-bundle = "{server.ca}"'
        stock.policy()
        done = stock.run("publish", "--to", "gitlab")
        assert done.returncode == 0, done.stderr
        assert [file.file_name for file in gitlab.files(project)] == [wheel.name]


def test_a_recipe_whose_wheels_have_another_name(yard: PublishedProject) -> None:
    """``[source] name``: published and recorded under the wheels' name, due no more by the recipe's."""
    spec = WheelSpec(name="demo", version="1.0", python="cp313", abi="cp313")
    (made,) = yard.stock.add(spec)
    root = yard.stock.root
    (root / "dist/demo").rename(root / "dist/fancy")
    folder = root / "dist/fancy/1.0"
    write_record(folder, record_of(folder / made.name, spec).model_copy(update={"package": "fancy"}))
    write_verdict(folder, verdict_of("fancy", "1.0", [folder / made.name]))
    yard.recipes("fancy")
    (root / "recipes/fancy/recipe.toml").write_text('[source]\nname = "demo"\n')
    locked = LockedVersion(version="1.0", file="demo-1.0.tar.gz", sha256="2" * 64)
    pin(lock_file(root / "packages", "fancy"), locked)
    due = yard.stock.run("ci", "plan", "--due", "--json")
    assert "demo-1.0-cp313" in due.stdout, due.stderr

    done = yard.publish("fancy")
    assert done.returncode == 0, done.stderr
    yard.exactly([folder / made.name])
    assert [each.file for each in RELEASES.read(root / "packages/demo/releases.toml")] == [made.name]
    assert not (root / "packages/demo/durations.toml").exists()
    verified = yard.registry("verify", "--registry", "gitlab")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    due = yard.stock.run("ci", "plan", "--due", "--json")
    assert "demo-1.0-cp313" not in due.stdout, due.stderr

    (root / "recipes/fancy/recipe.toml").write_text("")
    again = yard.publish("fancy")
    assert "is not a wheel of fancy" in again.stdout + again.stderr
