"""What every plan of jobs that a test makes up has alike."""

from __future__ import annotations

from typing import Any, Final

KEY: Final = "7" * 64
IMAGE: Final = {"kind": "local", "choice": "local", "reference": "localhost/x:1", "digest": "sha256:1"}
ESTIMATE: Final = {
    "runners": 1,
    "image-start": 0,
    "seconds": 0,
    "bound": 0,
    "critical": {"seconds": 0, "jobs": ()},
    "runner-minutes": 0,
    "timed": 0,
}


def job_entry(name: str, package: str, pythons: tuple[str, ...], needs: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a job of version 1.0 with a wheel for each interpreter; *needs* are names of jobs."""
    return {
        "name": name,
        "package": package,
        "version": "1.0",
        "why": "nobody has it",
        "wave": 1,
        "needs": needs,
        "takes": (),
        "runner": "x",
        "timeout": 60,
        "interpreters": pythons,
        "image": IMAGE,
        "key": KEY,
        "expected": [
            {
                "pattern": f"{package}-1.0-{each}-{each}-manylinux_*_riscv64.whl",
                "interpreters": (each,),
                "fingerprint": None,
            }
            for each in pythons
        ],
        "seconds": 10,
    }
