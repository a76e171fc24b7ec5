"""What this machine can do: every need of a build, whether it is met, and the command that mends it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from wheelyard import images
from wheelyard.core.errors import WheelyardError
from wheelyard.index import index_url
from wheelyard.io import engine, http
from wheelyard.io.run import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from wheelyard.images import Image
    from wheelyard.project.config import Project

State = Literal["ok", "missing", "note"]
SCHEMA = "wheelyard/doctor"
VERSION = 1
_BOOTSTRAP = "ci/bootstrap true  (as root, or with sudo)"
_PATIENCE = 5.0  # seconds that a server is given to answer
_SERVER_ERROR = 500


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what.
        state: ``ok``, ``missing`` (no build runs without it), or ``note`` (good to know).
        text: what was found.
        fix: the command or step that mends it, empty where there is nothing to mend.
    """

    name: str
    state: State
    text: str
    fix: str = ""


@dataclass(frozen=True)
class Report:
    """All findings, in the order in which a build needs them."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether a build can run."""
        return all(finding.state != "missing" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return the report for machines."""
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "ok": self.ok,
            "machine": platform.machine(),
            "findings": [
                {"name": each.name, "state": each.state, "text": each.text, "fix": each.fix} for each in self.findings
            ],
        }


def examine(project: Project) -> Report:
    """Look at everything a build needs on this machine; nothing is changed or downloaded.

    Raises:
        ConfigError: the image of site policy is none.
    """
    choice = images.ImageChoice.parse(project.policy.image)
    image = images.resolve(choice, project.policy.policy)
    checks: list[Callable[[], Finding]] = [
        _python,
        partial(_tool, "git", "sudo apt-get install git"),
        partial(_cibuildwheel, project),
        _engine,
        _binfmt,
        partial(_mmdebstrap, image),
        partial(_image, image),
        partial(_disk, project),
        _index,
        partial(_registry, project.policy.policy),
        _authorities,
    ]
    # Servers that do not answer take their time; they may take it together.
    with ThreadPoolExecutor(len(checks)) as pool:
        return Report(tuple(pool.map(lambda check: check(), checks)))


def _python() -> Finding:
    text = f"{platform.python_version()} on {platform.machine()}"
    if importlib.util.find_spec("_lzma") is None:
        return Finding(
            "python",
            "missing",
            f"{text}, made without lzma",
            "WHEELYARD_PYTHON=/usr/bin/python3 ci/bootstrap true",
        )
    return Finding("python", "ok", text)


def _tool(name: str, fix: str) -> Finding:
    if shutil.which(name) is None:
        return Finding(name, "missing", "not on PATH", fix)
    words = run([name, "--version"], check=False).stdout.split("\n")[0]
    return Finding(name, "ok", words.removeprefix(f"{name} "))


def _cibuildwheel(project: Project) -> Finding:
    try:
        installed = importlib.metadata.version("cibuildwheel")
    except importlib.metadata.PackageNotFoundError:
        return Finding("cibuildwheel", "missing", "not installed", "ci/bootstrap true")
    lock = project.root / "ci" / "requirements.txt"
    pinned = (
        re.search(r"^cibuildwheel==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE) if lock.is_file() else None
    )
    if pinned and pinned[1] != installed:
        return Finding("cibuildwheel", "missing", f"{installed}, the pin is {pinned[1]}", "ci/bootstrap true")
    return Finding("cibuildwheel", "ok", installed + (", as pinned" if pinned else ""))


def _engine() -> Finding:
    try:
        found = engine.find()
    except WheelyardError as error:
        return Finding("engine", "missing", error.what, error.fix or _BOOTSTRAP)
    if problem := engine.probe():
        fix = "ci/bootstrap true" if engine.binfmt().ok else _BOOTSTRAP
        return Finding("engine", "missing", f"{found.name} starts no riscv64 container: {problem}", fix)
    version = run([found.path, "--version"], check=False).stdout.strip()
    return Finding("engine", "ok", version + (f", with {found.conf}" if found.conf else ""))


def _binfmt() -> Finding:
    found = engine.binfmt()
    if found.native:
        return Finding("riscv64", "ok", "this machine")
    if found.interpreter is None:
        return Finding("riscv64", "missing", "the kernel has no program to start riscv64 with", _BOOTSTRAP)
    if not found.ok:
        return Finding("riscv64", "missing", f"{found.interpreter} is registered without flag F", _BOOTSTRAP)
    return Finding("riscv64", "ok", f"{found.interpreter}, flags {found.flags}")


def _mmdebstrap(image: Image) -> Finding:
    needed = image.kind == "local" and not image.digest
    if shutil.which("mmdebstrap"):
        return Finding("mmdebstrap", "ok", "there")
    if needed:
        return Finding("mmdebstrap", "missing", "not on PATH; the local image is made with it", _BOOTSTRAP)
    return Finding("mmdebstrap", "note", "not on PATH; only making a local image needs it", _BOOTSTRAP)


def _image(image: Image) -> Finding:
    pythons = " ".join(map(str, image.interpreters))
    try:
        ready = engine.inspect(image.reference)
    except WheelyardError:
        ready = None
    what = f"{image.choice}: {pythons}, glibc {image.glibc}"
    if ready is None:
        how = "pulled" if image.kind == "official" else "made (about a minute)"
        return Finding(
            "image", "note", f"{what}; will be {how} when first needed", f"wheelyard image build {image.choice}"
        )
    return Finding("image", "ok", f"{what}, {ready.size / 1e6:.0f} MB, {image.reference}")


def _disk(project: Project) -> Finding:
    free, need = shutil.disk_usage(project.root).free / 2**30, project.policy.min_free_gib
    text = f"{free:.0f} GiB free at {project.root}, builds start from {need}"
    return Finding("disk", "ok", text) if free >= need else Finding("disk", "missing", text, "free some space")


def _index() -> Finding:
    try:
        status = http.status_of(index_url(), timeout=_PATIENCE)
    except WheelyardError as error:
        return Finding("index", "missing", error.what, error.fix or "")
    if status is None or status >= _SERVER_ERROR:
        return Finding(
            "index",
            "missing",
            "the package index does not answer" + (f": {status}" if status else ""),
            "check network, proxy (HTTPS_PROXY) and CA bundle (SSL_CERT_FILE); pip config list",
        )
    return Finding("index", "ok", "the package index answers")


def _registry(policy: str) -> Finding:
    host = images.registry(policy)
    if images.registry_answers(policy):
        return Finding("registry", "ok", f"{host} answers")
    return Finding("registry", "note", f"{host} does not answer; builds use a local image")


def _authorities() -> Finding:
    mounts, _ = engine.ca_mounts()
    if not mounts:
        return Finding("authorities", "note", "no CA bundle on this machine; containers use their own")
    bundle = mounts[0].removeprefix("--volume=").partition(":")[0]
    return Finding("authorities", "ok", f"containers trust {bundle}")
