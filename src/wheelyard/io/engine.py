"""The container engine: finding it, running one-shot containers that never stay, and its images.

Every container of ours bears the label ``wheelyard.owner=<pid>.<starttime>``; :func:`sweep` removes those whose
process is gone, so that even a killed run leaves nothing behind for long.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import platform
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wheelyard.core.errors import EngineError, WheelyardError
from wheelyard.io import cache, files, guard, log
from wheelyard.io.run import Completed, failure, run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

OWNER_LABEL = "wheelyard.owner"
TARGET_ARCH = "riscv64"
# Where the host's CA bundle appears inside containers: a path of our own, so no image's file is hidden.
CA_PATH = "/etc/wheelyard-ca.pem"
_CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE")
_CA_FILES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
_CA_READERS = (*_CA_VARIABLES, "GIT_SSL_CAINFO", "CARGO_HTTP_CAINFO")
_BINFMT = Path("/proc/sys/fs/binfmt_misc")
_numbers = itertools.count(1)

# A whole riscv64 program that ends with status 0 (exit(0): li a0,0; li a7,93; ecall). It lets a container be
# tried without any image: the container must start, and so must riscv64 programs inside of it.
_PROBE = bytes.fromhex(
    "7f454c460201010000000000000000000200f30001000000780001000000000040000000000000000000000000000000"
    "040000004000380001000000000000000100000005000000000000000000000000000100000000000000010000000000"
    "840000000000000084000000000000000010000000000000130500009308d00573000000"
)

# What a user's own settings for pip, uv and the network are called; their values stay where they are.
USER_SETTINGS = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_DEFAULT_TIMEOUT",
    "UV_INDEX_URL",
    "UV_DEFAULT_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_HTTP_TIMEOUT",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)


@dataclass(frozen=True)
class Engine:
    """A container engine.

    Attributes:
        name: ``podman`` or ``docker``.
        path: its program.
        conf: the private containers.conf it is run with, None for its own defaults.
    """

    name: str
    path: str
    conf: Path | None = None

    @property
    def env(self) -> dict[str, str]:
        """Our environment, with ``CONTAINERS_CONF`` where a private one is needed (containers.conf(5))."""
        return dict(os.environ) | ({"CONTAINERS_CONF": str(self.conf)} if self.conf else {})

    @property
    def removal(self) -> tuple[str, ...]:
        """The arguments that remove a container at once, running or not."""
        return ("rm", "--force", "--volumes", *(["--ignore", "--time=0"] if self.name == "podman" else []))

    @property
    def local_images(self) -> bool:
        """Whether images made here can be used: docker records the wrong architecture for an imported one."""
        return self.name == "podman"


@dataclass(frozen=True)
class ImageInfo:
    """What the engine's storage knows of an image.

    Attributes:
        reference: the name it was asked for or is listed under.
        id: the digest of its configuration, ``sha256:…``.
        digest: the digest of its manifest, ``sha256:…``; empty where the engine keeps none.
        platform: such as ``linux/riscv64``.
        size: bytes, as the engine counts them.
        labels: its labels.
    """

    reference: str
    id: str
    digest: str
    platform: str
    size: int
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Binfmt:
    """How the kernel starts riscv64 programs (Linux, admin-guide/binfmt-misc).

    Attributes:
        native: the machine is riscv64 itself.
        mounted: binfmt_misc is mounted.
        interpreter: what runs them, None when nothing is registered.
        flags: the registration's flags; ``F`` makes it work inside containers.
    """

    native: bool
    mounted: bool
    interpreter: str | None
    flags: str

    @property
    def ok(self) -> bool:
        """Whether riscv64 programs run, in containers too."""
        return self.native or (self.interpreter is not None and "F" in self.flags)


def native() -> bool:
    """Return whether this machine is riscv64 itself."""
    return platform.machine() == TARGET_ARCH


@functools.cache
def find() -> Engine:
    """Return the engine to use: podman, or docker where there is no podman.

    Raises:
        EngineError: neither is installed.
    """
    conf = None
    if "CONTAINERS_CONF" not in os.environ:
        private = cache.cache_dir() / "containers.conf"
        conf = private if private.is_file() else None
    for name in ("podman", "docker"):
        path = shutil.which(name)
        if path:
            return Engine(name, path, conf if name == "podman" else None)
    raise EngineError("neither podman nor docker is installed", fix="ci/bootstrap true  (as root, or with sudo)")


def engine_run(
    args: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    check: bool = True,
    timeout: float | None = 600,
    fix: str | None = None,
) -> Completed:
    """Run the engine itself, such as ``image inspect``.

    Raises:
        EngineError: there is no engine, or it failed and *check* is set.
    """
    engine = find()
    result = run([engine.path, *args], cwd=cwd, env=engine.env, check=False, timeout=timeout)
    if check and result.returncode != 0:
        problem = failure(result)
        raise EngineError(problem.what, details=problem.details, fix=fix or "wheelyard doctor")
    return result


def binfmt() -> Binfmt:
    """Read how the kernel starts riscv64 programs."""
    mounted = (_BINFMT / "status").exists()
    interpreter, flags = None, ""
    with contextlib.suppress(OSError):
        lines = (_BINFMT / f"qemu-{TARGET_ARCH}").read_text(encoding="utf-8").splitlines()
        if lines[:1] == ["enabled"]:
            pairs = dict(line.partition(" ")[::2] for line in lines)
            interpreter, flags = pairs.get("interpreter"), pairs.get("flags:", "")
    return Binfmt(native(), mounted, interpreter, flags)


def probe() -> str | None:
    """Run a riscv64 program of 132 bytes in a container without an image; return what went wrong, None if nothing."""
    with files.scratch(cache.cache_dir("probe"), "rootfs") as root:
        program = root / "probe"
        program.write_bytes(_PROBE)
        program.chmod(0o755)
        try:
            result = engine_run(
                ["run", "--rm", "--network=host", *label_args(), "--rootfs", root, "/probe"], check=False, timeout=60
            )
        except WheelyardError as error:
            return error.what
    if result.returncode == 0:
        return None
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    return log.clean(lines[-1]) if lines else f"ended with status {result.returncode}"


# ---------------------------------------------------------------- containers


def label_args() -> tuple[str, ...]:
    """Return the arguments that mark a container as ours, for every program that creates one (cibuildwheel too)."""
    return ("--label", f"{OWNER_LABEL}={files.owner_mark()}")


def ca_mounts() -> tuple[tuple[str, ...], dict[str, str]]:
    """Return create arguments and environment that let a container trust what this machine trusts.

    Networks that intercept TLS sign with an authority that only the host knows. Both are empty where the host
    has no bundle file.
    """
    candidates = [os.environ.get(name, "") for name in _CA_VARIABLES] + list(_CA_FILES)
    bundle = next((Path(name).resolve() for name in candidates if name and Path(name).is_file()), None)
    if bundle is None:
        return (), {}
    return (f"--volume={bundle}:{CA_PATH}:ro",), dict.fromkeys(_CA_READERS, CA_PATH)


def run_in(
    image: str,
    argv: Sequence[str],
    *,
    mounts: Sequence[tuple[Path, str, bool]] = (),
    env: Mapping[str, str] | None = None,
    network: bool = False,
    create_args: Sequence[str] = (),
    workdir: str | None = None,
    stdin: bytes | None = None,
    timeout: float | None = None,
    check: bool = True,
    log_file: Path | None = None,
    on_line: Callable[[str], None] | None = None,
) -> Completed:
    """Run a program in a fresh container, which is gone afterwards, however this ends.

    Args:
        image: a reference that is in the engine's storage; it is never pulled here.
        argv: the program and its arguments.
        mounts: host path, path inside, whether it may be written.
        env: variables, added to the image's own. Not for secrets: they are seen in the process list.
        network: whether it may use the host's network; none at all otherwise.
        create_args: further arguments to ``run``, such as those of :func:`ca_mounts`.
        workdir: where to start.
        stdin: what it may read.
        timeout: seconds after which it is ended.
        check: raise when the program fails.
        log_file: append its output there.
        on_line: called with each line of its output.

    Raises:
        EngineError: no engine, or the container could not be started.
        ProgramError: the program failed and *check* is set.
        StepTimeoutError: it took longer than *timeout*.
    """
    engine = find()
    name = f"wheelyard-{files.owner_mark().replace('.', '-')}-{next(_numbers)}"
    # Without a proxy a signal ends the client at once, and the removal below ends the container: the first program in
    # a container ignores signals that it does not ask for.
    command: list[str] = [
        engine.path,
        "run",
        "--rm",
        "--sig-proxy=false",
        "--pull=never",
        "--name",
        name,
        *label_args(),
    ]
    command += ["--platform", f"linux/{TARGET_ARCH}", "--network", "host" if network else "none"]
    command += ["--interactive"] if stdin is not None else []
    command += [f"--volume={path.resolve()}:{inside}:{'rw' if rw else 'ro'}" for path, inside, rw in mounts]
    for key, value in (env or {}).items():
        command += ["--env", f"{key}={value}"]
    command += ["--workdir", workdir] if workdir else []
    command += [*create_args, image, *argv]
    removal = [engine.path, *engine.removal, name]
    # The guard's helper does not have our private configuration: name it in the command itself.
    late = ["env", f"CONTAINERS_CONF={engine.conf}", *removal] if engine.conf else removal
    with guard.on_death(commands=[late]):
        try:
            result = run(
                command, env=engine.env, stdin=stdin, timeout=timeout, check=False, log_file=log_file, on_line=on_line
            )
        except BaseException:
            with contextlib.suppress(WheelyardError):
                run(removal, env=engine.env, check=False, timeout=60)
            raise
    # podman-run(1), docker-run(1): 125 means that the engine itself failed, not the program.
    if result.returncode == 125:  # noqa: PLR2004
        problem = failure(result)
        raise EngineError(f"no container of {image} can be started", details=problem.details, fix="wheelyard doctor")
    if check and result.returncode != 0:
        raise failure(result)
    return result


def run_with_network(image: str) -> Callable[..., Completed]:
    """Return :func:`run_in` for *image* with the network, the user's own package indexes and his proxy."""
    mounts, trust = ca_mounts()
    # By name only: an index address may hold a password, which has no place in an argument list.
    settings = [word for name in USER_SETTINGS if name in os.environ for word in ("--env", name)]
    return functools.partial(run_in, image, env=trust, network=True, create_args=(*mounts, *settings))


def remove_labelled(label: str) -> None:
    """Remove the containers that bear *label*; works with docker too, whose ``rm`` knows no filter."""
    listed = engine_run(["ps", "--all", "--quiet", "--filter", f"label={label}"], check=False, timeout=60)
    if numbers := listed.stdout.split():
        engine_run([*find().removal, *numbers], check=False, timeout=120)


def require_riscv64() -> None:
    """Check that this machine starts riscv64 programs.

    Raises:
        EngineError: it does not, or not inside containers.
    """
    emulator = binfmt()
    if not emulator.ok:
        problem = "no riscv64 program runs here: QEMU is not registered with binfmt_misc"
        if emulator.interpreter:
            problem = f"{emulator.interpreter} is registered without flag F, so containers do not find it"
        raise EngineError(problem, fix="ci/bootstrap true  (as root, or with sudo)")


def sweep() -> list[str]:
    """Remove the containers whose process is gone, and return their names."""
    form = '{{.ID}}\t{{.Names}}\t{{index .Labels "' + OWNER_LABEL + '"}}'
    if find().name == "docker":
        form = '{{.ID}}\t{{.Names}}\t{{.Label "' + OWNER_LABEL + '"}}'
    listed = engine_run(["ps", "--all", "--filter", f"label={OWNER_LABEL}", "--format", form], timeout=60)
    rows = [line.split("\t") for line in listed.stdout.splitlines() if line.count("\t") == 2]  # noqa: PLR2004
    stale = [(number, name) for number, name, owner in rows if not files.owner_alive(owner)]
    if stale:
        engine_run([*find().removal, *(number for number, _ in stale)], check=False, timeout=120)
        log.info(f"removed {len(stale)} container(s) that an earlier run left behind")
    return [name for _, name in stale]


# -------------------------------------------------------------------- images


def inspect(reference: str) -> ImageInfo | None:
    """Return the properties of an image in the storage, None if it is not there.

    Raises:
        EngineError: no engine, or one that does not work.
    """
    result = engine_run(["image", "inspect", reference], check=False, timeout=60)
    if result.returncode != 0:
        return None
    properties: dict[str, Any] = json.loads(result.stdout)[0]
    digests = [entry.partition("@")[2] for entry in properties.get("RepoDigests") or ()]
    number = str(properties["Id"])
    return ImageInfo(
        reference=reference,
        id=number if number.startswith("sha256:") else f"sha256:{number}",
        digest=str(properties.get("Digest") or (digests[0] if digests else "")),
        platform=f"{properties['Os']}/{properties['Architecture']}",
        size=int(properties.get("Size") or 0),
        labels=dict(properties.get("Labels") or (properties.get("Config") or {}).get("Labels") or {}),
    )


def images(label: str) -> list[ImageInfo]:
    """Return the images that bear *label*, by reference.

    Raises:
        EngineError: no engine, or one that does not work.
    """
    form = "{{.Repository}}:{{.Tag}}"
    result = engine_run(["images", "--filter", f"label={label}", "--format", form], timeout=60)
    names = sorted({line.strip() for line in result.stdout.splitlines() if line.strip() and "<none>" not in line})
    return [info for name in names if (info := inspect(name)) is not None]


def storage() -> Path:
    """Return the folder in which the engine keeps its images.

    Raises:
        EngineError: no engine, or one that does not work.
    """
    form = "{{.Store.GraphRoot}}" if find().name == "podman" else "{{.DockerRootDir}}"
    return Path(engine_run(["info", "--format", form], timeout=60).stdout.strip())
