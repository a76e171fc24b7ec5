"""Has a package's own build backend make its sdist: ``python -I _make_sdist_main.py SOURCE OUT RESULT [sdist]``.

Runs as a program of its own, since all of it is upstream's code; whatever that has started ends with it. What says
where packages are installed from may hold a login: the installer gets it, the backend does not. RESULT is written
as JSON: ``stage`` (how far it came), ``error``, ``requires`` and ``wheel_requires`` (what the backend wants, beyond
pyproject.toml, for a wheel), ``sdist``.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from build import BuildBackendException, BuildException, ProjectBuilder
from build.env import DefaultIsolatedEnv
from pyproject_hooks import UnsupportedOperation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_INSTALLER = ("PIP_", "UV_")
_SET_DUMPABLE, _SET_CHILD_SUBREAPER, _SET_NO_NEW_PRIVS = 4, 36, 38  # <linux/prctl.h>
_SWEEPS = 100


def _call(cmd: Sequence[str], cwd: str | None = None, extra_environ: Mapping[str, str] | None = None) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(_INSTALLER)}
    subprocess.run(cmd, cwd=cwd, env=env | dict(extra_environ or {}), check=True, stdin=subprocess.DEVNULL)


def main(source: str, out: str, result: dict[str, Any], *, sdist: bool) -> None:
    """Fill *result*, as far as it goes."""
    with DefaultIsolatedEnv(installer="uv") as env:
        builder = ProjectBuilder.from_isolated_env(env, source, runner=_call)
        result |= {"stage": "install", "requires": sorted(builder.build_system_requires)}
        env.install(builder.build_system_requires)
        result["stage"] = "requires"
        result["wheel_requires"] = sorted(map(str, builder.get_requires_for_build("wheel")))
        if sdist:
            more = builder.get_requires_for_build("sdist")
            result["stage"] = "install"
            env.install(more)
            result["stage"] = "sdist"
            result["sdist"] = Path(builder.build("sdist", out)).name
    result["stage"] = "done"


def _adopt() -> None:
    """Become the parent of whatever upstream's programs leave behind, daemons too (prctl(2), Linux only).

    They cannot read our environment then, but as root with all capabilities, nor get more rights than we have.
    """
    prctl = ctypes.CDLL(None).prctl
    prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    prctl(_SET_DUMPABLE, 0, 0, 0, 0)
    prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _end_all() -> None:
    """End all that was started; what becomes ours by that is next."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    with contextlib.suppress(OSError):  # a kernel without that file, or somebody else was faster
        for _ in range(_SWEEPS):
            for pid in map(int, children.read_text(encoding="ascii").split()):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


if __name__ == "__main__":
    _adopt()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    told: dict[str, Any] = {"stage": "start", "error": ""}
    try:
        main(sys.argv[1], sys.argv[2], told, sdist="sdist" in sys.argv[4:])
    except BuildBackendException as problem:
        if isinstance(problem.exception, UnsupportedOperation):
            told["stage"] = "unsupported"
        told["error"] = str(problem)
    except (BuildException, subprocess.CalledProcessError, OSError) as problem:
        told["error"] = str(problem)
    finally:
        _end_all()
    answer = Path(sys.argv[3])
    answer.unlink(missing_ok=True)
    answer.write_text(json.dumps(told), encoding="utf-8")
