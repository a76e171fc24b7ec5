"""``doctor``: check what this machine can do, and name the command that fixes what is missing."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Literal

from pydantic import Field, computed_field

from wheelyard import images
from wheelyard.core.errors import WheelyardError
from wheelyard.core.model import Model
from wheelyard.index import index_url
from wheelyard.io import engine, http
from wheelyard.io.run import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from wheelyard.images import Image
    from wheelyard.project.config import Project

State = Literal["ok", "missing", "note"]
_BOOTSTRAP = "ci/bootstrap true  (as root, or with sudo)"
_TIMEOUT = 5.0  # seconds
_SERVER_ERROR = 500


class MachineCheck(Model):
    """The result of one check of this machine.

    Attributes:
        name: the tool or service.
        state: ``ok``, ``missing`` (no build runs without it), or ``note`` (a build runs without it).
        text: its version or its problem.
        fix: the command that fixes the problem, empty where there is none.
    """

    name: str
    state: State
    text: str
    fix: str = ""


class DoctorReport(Model):
    """``doctor --json``: all checks, in the order in which a build needs them."""

    schema_: Literal["wheelyard/doctor"] = Field("wheelyard/doctor", alias="schema")
    version_: Literal[1] = Field(1, alias="version")
    machine: str
    findings: tuple[MachineCheck, ...]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def ok(self) -> bool:
        """Whether a build can run."""
        return all(check.state != "missing" for check in self.findings)


def _ok(name: str, text: str) -> MachineCheck:
    return MachineCheck(name=name, state="ok", text=text)


def _missing(name: str, text: str, fix: str) -> MachineCheck:
    return MachineCheck(name=name, state="missing", text=text, fix=fix)


def _note(name: str, text: str, fix: str = "") -> MachineCheck:
    return MachineCheck(name=name, state="note", text=text, fix=fix)


def examine(project: Project) -> DoctorReport:
    """Check everything that a build needs on this machine, without a change or a download.

    Raises:
        ConfigError: the image of the site configuration is not valid.
    """
    choice = images.ImageChoice.parse(project.config.image)
    image = images.resolve(choice, project.config.policy)
    checks: list[Callable[[], MachineCheck]] = [
        _python,
        partial(_tool, "git", "sudo apt-get install git"),
        partial(_cibuildwheel, project),
        _engine,
        _binfmt,
        partial(_mmdebstrap, image),
        partial(_image, image),
        partial(_disk, project),
        _index,
        partial(_registry, project.config.policy),
        _authorities,
    ]
    # In parallel: a server that does not answer costs its whole timeout.
    with ThreadPoolExecutor(len(checks)) as pool:
        results = pool.map(lambda check: check(), checks)
        return DoctorReport(machine=platform.machine(), findings=tuple(results))


def _python() -> MachineCheck:
    text = f"{platform.python_version()} on {platform.machine()}"
    if importlib.util.find_spec("_lzma") is None:
        return _missing(
            "python",
            f"{text}, made without lzma",
            "WHEELYARD_PYTHON=/usr/bin/python3 ci/bootstrap true",
        )
    return _ok("python", text)


def _tool(name: str, fix: str) -> MachineCheck:
    if shutil.which(name) is None:
        return _missing(name, "not on PATH", fix)
    words = run([name, "--version"], check=False).stdout.split("\n")[0]
    return _ok(name, words.removeprefix(f"{name} "))


def _cibuildwheel(project: Project) -> MachineCheck:
    try:
        installed = importlib.metadata.version("cibuildwheel")
    except importlib.metadata.PackageNotFoundError:
        return _missing("cibuildwheel", "not installed", "ci/bootstrap true")
    lock = project.root / "ci" / "requirements.txt"
    pinned = (
        re.search(r"^cibuildwheel==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE) if lock.is_file() else None
    )
    if pinned and pinned[1] != installed:
        return _missing("cibuildwheel", f"{installed}, the pin is {pinned[1]}", "ci/bootstrap true")
    return _ok("cibuildwheel", installed + (", as pinned" if pinned else ""))


def _engine() -> MachineCheck:
    try:
        container_engine = engine.find()
    except WheelyardError as error:
        return _missing("engine", error.what, error.fix or _BOOTSTRAP)
    if problem := engine.probe():
        fix = "ci/bootstrap true" if engine.binfmt().ok else _BOOTSTRAP
        return _missing("engine", f"{container_engine.name} starts no riscv64 container: {problem}", fix)
    version = run([container_engine.path, "--version"], check=False).stdout.strip()
    return _ok("engine", version + (f", with {container_engine.conf}" if container_engine.conf else ""))


def _binfmt() -> MachineCheck:
    binfmt = engine.binfmt()
    if binfmt.native:
        return _ok("riscv64", "this machine")
    if binfmt.interpreter is None:
        return _missing("riscv64", "the kernel has no interpreter for riscv64 programs", _BOOTSTRAP)
    if not binfmt.ok:
        return _missing("riscv64", f"{binfmt.interpreter} is registered without flag F", _BOOTSTRAP)
    return _ok("riscv64", f"{binfmt.interpreter}, flags {binfmt.flags}")


def _mmdebstrap(image: Image) -> MachineCheck:
    needed = image.kind == "local" and not image.digest
    if shutil.which("mmdebstrap"):
        return _ok("mmdebstrap", "installed")
    if needed:
        return _missing("mmdebstrap", "not on PATH; the local image is made with it", _BOOTSTRAP)
    return _note("mmdebstrap", "not on PATH; only making a local image needs it", _BOOTSTRAP)


def _image(image: Image) -> MachineCheck:
    pythons = " ".join(map(str, image.interpreters))
    try:
        ready = engine.inspect(image.reference)
    except WheelyardError:
        ready = None
    description = f"{image.choice}: {pythons}, glibc {image.glibc}"
    if ready is None:
        how = "pulled" if image.kind == "official" else "made (about a minute)"
        return _note(
            "image", f"{description}; will be {how} when first needed", f"wheelyard image build {image.choice}"
        )
    return _ok("image", f"{description}, {ready.size / 1e6:.0f} MB, {image.reference}")


def _disk(project: Project) -> MachineCheck:
    free, need = shutil.disk_usage(project.root).free / 2**30, project.config.min_free_gib
    text = f"{free:.0f} GiB free at {project.root}, builds start from {need}"
    return _ok("disk", text) if free >= need else _missing("disk", text, "free some space")


def _index() -> MachineCheck:
    try:
        status = http.status_of(index_url(), timeout=_TIMEOUT)
    except WheelyardError as error:
        return _missing("index", error.what, error.fix or "")
    if status is None or status >= _SERVER_ERROR:
        return _missing(
            "index",
            "the package index does not answer" + (f": {status}" if status else ""),
            "check network, proxy (HTTPS_PROXY) and CA bundle (SSL_CERT_FILE); pip config list",
        )
    return _ok("index", "the package index answers")


def _registry(config: str) -> MachineCheck:
    host = images.registry(config)
    if images.registry_answers(config):
        return _ok("registry", f"{host} answers")
    return _note("registry", f"{host} does not answer; builds use a local image")


def _authorities() -> MachineCheck:
    mounts, _ = engine.ca_mounts()
    if not mounts:
        return _note("authorities", "no CA bundle on this machine; containers use their own")
    bundle = mounts[0].removeprefix("--volume=").partition(":")[0]
    return _ok("authorities", f"containers trust {bundle}")
