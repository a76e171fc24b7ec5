"""riscv64 wheels from small recipes:  ci/bootstrap nox -s SESSION [SESSION …] [-- OPTIONS]

[recipes]    which wheels would be built, whether a build would succeed, and checks of built wheels
[build]      one session for each folder in recipes/; all of them: nox -t build
             options: --version V  --python cp313  --image local:forky  --force  --no-test  --jobs N
[registry]   published wheels, their sources, pages and records
[upstream]   news of upstream, and wheels that are missing here
[operations] tokens, vulnerabilities, and changes before they are merged
[ci]         the jobs that build wheels on a forge
[machine]    whether this machine can build, and in which images
[dev]        changing the project itself
"""  # noqa: D415 - `nox -l` prints it above the sessions: it is for people, not about this module

from __future__ import annotations

import itertools
import platform
import re
from pathlib import Path

import nox

ROOT = Path(__file__).parent
RECIPES = sorted(file.parent.name for file in ROOT.glob("recipes/[!_]*/recipe.toml"))

# Every session is one thin call. The verbs are the `wheelyard` command's, run by the environment that `ci/bootstrap`
# made; only the sessions for development make environments of their own.
nox.options.sessions = ["unit"]
nox.options.default_venv_backend = "uv"
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_external_run = False


def verb(session: nox.Session, *words: str) -> None:
    session.run("wheelyard", *words, *session.posargs, external=True)


def tools(session: nox.Session) -> None:
    """Install what development needs, hash-locked; uv does nothing when it is there already."""
    locks = ("-r", "ci/requirements.txt", "-r", "ci/requirements-dev.txt")
    session.run("uv", "pip", "install", "--quiet", "--require-hashes", *locks, external=True)
    session.run("uv", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "-e", ".", external=True)


# ------------------------------------------------------------------- recipes


@nox.session(venv_backend="none", tags=["recipes"])
def plan(session: nox.Session) -> None:
    """Show which wheels would be built, and why: all recipes, or -- PACKAGE ..."""
    verb(session, "plan")


@nox.session(venv_backend="none", tags=["recipes"])
def preflight(session: nox.Session) -> None:
    """Check whether a build would succeed, in seconds and on any machine: -- PACKAGE."""
    verb(session, "preflight")


@nox.session(venv_backend="none", tags=["recipes"])
def check(session: nox.Session) -> None:
    """Check wheels in dist/ again; changes nothing: -- PACKAGE."""
    verb(session, "check")


def summary(package: str) -> str:
    """Return the first sentence of the comment that opens a recipe: which kind of package it is."""
    text = (ROOT / "recipes" / package / "recipe.toml").read_text(encoding="utf-8", errors="replace")
    comment = [line.lstrip("# ") for line in itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())]
    return re.split(r"\.(?:\s|$)", " ".join(comment), maxsplit=1)[0].strip() or "its riscv64 wheels"


def build_session(package: str) -> None:
    @nox.session(name=f"build-{package}", venv_backend="none", tags=["build"])
    def build(session: nox.Session) -> None:
        verb(session, "build", package)

    build.__doc__ = f"Build, test and check {package}: {summary(package)}"


for _package in RECIPES:
    build_session(_package)


# ------------------------------------------------------------------ registry


@nox.session(venv_backend="none", tags=["registry"])
def publish(session: nox.Session) -> None:
    """Publish passing wheels to a registry: -- --to gitlab|DIR [PACKAGE ...], --dry-run."""
    verb(session, "publish")


@nox.session(venv_backend="none", tags=["registry"])
def registry(session: nox.Session) -> None:
    """List published wheels, or -- verify, smoke-test, adopt, prune, remove, yank, mirror, index."""
    session.run("wheelyard", "registry", *(session.posargs or ["list"]), external=True)


@nox.session(venv_backend="none", tags=["registry"])
def sources(session: nox.Session) -> None:
    """Publish the sources of copyleft libraries in wheels: -- --to REGISTRY [PACKAGE ...]."""
    verb(session, "sources")


@nox.session(venv_backend="none", tags=["registry"])
def site(session: nox.Session) -> None:
    """Write the pages that show the published wheels: -- --out DIR [--registry REGISTRY|DIR]."""
    verb(session, "site")


@nox.session(venv_backend="none", tags=["registry"])
def records(session: nox.Session) -> None:
    """Bring changed records to the base branch: -- --propose [--dry-run], -- --push."""
    verb(session, "records")


# ------------------------------------------------------------------ upstream


@nox.session(name="check-upstream", venv_backend="none", tags=["upstream"])
def check_upstream(session: nox.Session) -> None:
    """Report the status of packages against upstream: all recipes, or -- PACKAGE ..."""
    verb(session, "check-upstream")


@nox.session(venv_backend="none", tags=["upstream"])
def radar(session: nox.Session) -> None:
    """List popular packages that lack riscv64 wheels: -- --top N --list FILE."""
    verb(session, "radar")


@nox.session(venv_backend="none", tags=["upstream"])
def history(session: nox.Session) -> None:
    """Show when riscv64 wheels became available: -- PACKAGE ..."""
    verb(session, "history")


@nox.session(venv_backend="none", tags=["upstream"])
def available(session: nox.Session) -> None:
    """Check whether requirements install on riscv64: -- -r requirements.txt."""
    verb(session, "available")


# ---------------------------------------------------------------- operations


@nox.session(name="check-tokens", venv_backend="none", tags=["operations"])
def check_tokens(session: nox.Session) -> None:
    """Report when tokens and renewals expire, or renew one: -- --issues, -- --rotate NAME."""
    verb(session, "check-tokens")


@nox.session(venv_backend="none", tags=["operations"])
def audit(session: nox.Session) -> None:
    """Report published versions with known vulnerabilities: -- --issues."""
    verb(session, "audit")


@nox.session(venv_backend="none", tags=["operations"])
def review(session: nox.Session) -> None:
    """Check a change, as far as that needs no build: -- BASE..HEAD."""
    verb(session, "review")


@nox.session(venv_backend="none", tags=["ci"])
def ci(session: nox.Session) -> None:
    """Plan, run, collect and report jobs on a forge: -- plan --due, -- report."""
    verb(session, "ci")


# ------------------------------------------------------------------- machine


@nox.session(venv_backend="none", tags=["machine"])
def doctor(session: nox.Session) -> None:
    """Check whether this machine can build, with the fix of each missing part."""
    verb(session, "doctor")


@nox.session(venv_backend="none", tags=["machine"])
def image(session: nox.Session) -> None:
    """List the build images, or -- build local:forky, -- remove NAME."""
    session.run("wheelyard", "image", *(session.posargs or ["list"]), external=True)


# --------------------------------------------------------------- development


# Most tests wait for servers and programs: two files at a time. Those that look at the same real wheels come last and
# in one process, as these are built once, two at a time.
TWO = ("--numprocesses=2", "--dist=loadfile")
YARD = ("tests/e2e/builder/test_recipes.py", "tests/e2e/registries/test_smoke_test_containers.py")
TIERS = (
    ("tests/unit", *TWO),
    ("tests/integration", *TWO),
    ("tests/e2e", *(f"--ignore={file}" for file in YARD), *TWO),
    YARD,
)


@nox.session(tags=["dev"])
def tests(session: nox.Session) -> None:
    """Run everything, quick ones first: lint, unit, integration, real wheels end to end."""
    tools(session)
    checks(session)
    for words in [session.posargs] if session.posargs else TIERS:
        session.run("pytest", *words)


@nox.session(tags=["dev"])
def unit(session: nox.Session) -> None:
    """Run the fast tests."""
    tools(session)
    session.run("pytest", "tests/unit", *session.posargs)


@nox.session(tags=["dev"])
def lint(session: nox.Session) -> None:
    """Check style, types, layers and the shell script."""
    tools(session)
    checks(session)


def checks(session: nox.Session) -> None:
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    session.run("lint-imports", silent=True)
    session.run("python", "ci/names.py")
    session.run("shellcheck", "ci/bootstrap")
    session.run("actionlint")
    session.run("zizmor", "--offline", "--quiet", ".github", "ci/actions")
    pipelines = map(str, [ROOT / ".gitlab-ci.yml", *sorted(ROOT.glob("ci/gitlab/*.yml"))])
    schema = ("--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci")
    if platform.machine() == "riscv64":
        session.log("GitLab's schema is not checked here: no wheel of check-jsonschema's parts is for riscv64")
        return
    session.run("check-jsonschema", *schema, *pipelines, silent=True)


@nox.session(tags=["dev"])
def hooks(session: nox.Session) -> None:
    """Have git check each commit and its message from now on."""
    tools(session)
    session.run("pre-commit", "install")


@nox.session(tags=["dev"])
def docs(session: nox.Session) -> None:
    """Write the pages and schemas that are made from the models."""
    tools(session)
    session.run("python", "-m", "wheelyard.cli.docs", *session.posargs)


@nox.session(name="docs-site", tags=["dev"])
def docs_site(session: nox.Session) -> None:
    """Build the documentation as a website in dist/docs-site; a broken link is an error."""
    session.run("uv", "pip", "install", "--quiet", "--require-hashes", "-r", "ci/requirements-docs.txt", external=True)
    session.run("mkdocs", "build", "--strict", *session.posargs, env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session(tags=["dev"])
def release(session: nox.Session) -> None:
    """Check the next release; changes nothing without --write: -- VERSION [--write]."""
    tools(session)
    session.run("python", "ci/release.py", *session.posargs)


@nox.session(tags=["dev"])
def bench(session: nox.Session) -> None:
    """Measure the speed claims, as ratios in one run (minutes)."""
    tools(session)
    session.run("python", "-m", "benchmarks.run", *session.posargs)


@nox.session(venv_backend="none", tags=["dev"])
def pins(session: nox.Session) -> None:
    """Refresh every pin: the tool, development, and what the local image carries."""
    session.run("python", "ci/pins.py", *session.posargs, external=True)
