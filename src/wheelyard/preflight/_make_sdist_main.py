"""Make an sdist with the package's own build backend: ``python -I _make_sdist_main.py SOURCE OUT RESULT [sdist]``.

A program of its own, since the backend is upstream's code; all processes that it starts end with this one. The
address of the package index may hold a login: the installer gets it, the backend does not. RESULT is written as
JSON: ``stage`` (the last step), ``error``, ``requires`` and ``wheel_requires`` (the backend's requirements for a
wheel beyond pyproject.toml), ``sdist``.
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
    """Run the backend's hooks, and note each stage in *result*."""
    with DefaultIsolatedEnv(installer="uv") as env:
        builder = ProjectBuilder.from_isolated_env(env, source, runner=_call)
        result |= {"stage": "install", "requires": sorted(builder.build_system_requires)}
        env.install(builder.build_system_requires)
        result["stage"] = "requires"
        result["wheel_requires"] = sorted(map(str, builder.get_requires_for_build("wheel")))
        if sdist:
            sdist_requires = builder.get_requires_for_build("sdist")
            result["stage"] = "install"
            env.install(sdist_requires)
            result["stage"] = "sdist"
            result["sdist"] = Path(builder.build("sdist", out)).name
    result["stage"] = "done"


def _adopt() -> None:
    """Become the parent of all processes that upstream's programs leave, daemons too (prctl(2), Linux only).

    Only root with all capabilities can read our environment then, and no process can get more rights than we have.
    """
    prctl = ctypes.CDLL(None).prctl
    prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    prctl(_SET_DUMPABLE, 0, 0, 0, 0)
    prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _end_all() -> None:
    """Kill all children, then the processes that become our children by that."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    with contextlib.suppress(OSError):  # a kernel without that file, or the process has ended
        for _ in range(_SWEEPS):
            for pid in map(int, children.read_text(encoding="ascii").split()):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


if __name__ == "__main__":
    _adopt()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    outcome: dict[str, Any] = {"stage": "start", "error": ""}
    try:
        main(sys.argv[1], sys.argv[2], outcome, sdist="sdist" in sys.argv[4:])
    except BuildBackendException as problem:
        if isinstance(problem.exception, UnsupportedOperation):
            outcome["stage"] = "unsupported"
        outcome["error"] = str(problem)
    except (BuildException, subprocess.CalledProcessError, OSError) as problem:
        outcome["error"] = str(problem)
    finally:
        _end_all()
    answer = Path(sys.argv[3])
    answer.unlink(missing_ok=True)
    answer.write_text(json.dumps(outcome), encoding="utf-8")
