"""The fingerprint of a wheel: the digest of all its inputs; a wheel of the same fingerprint is not built twice."""

from __future__ import annotations

import functools
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from wheelyard.core.digests import sha256_value
from wheelyard.core.tags import WheelName, wheel_for
from wheelyard.project.loader import digest
from wheelyard.sources import tree

if TYPE_CHECKING:
    from wheelyard.core.values import ExpectedWheel, Image
    from wheelyard.planning.target import Target
    from wheelyard.project.config import SiteConfig

_TOOLS = ("wheelyard", "cibuildwheel", "auditwheel", "build", "uv")


def tools() -> dict[str, str]:
    """Return the versions of the tools that make a wheel."""
    return dict(_tools())


@functools.cache
def _tools() -> tuple[tuple[str, str], ...]:
    return tuple((name, version(name)) for name in _TOOLS)  # a plan asks for every wheel


@functools.cache
def tool_digest() -> str:
    """Return the digest of this tool's own files: a branch may change it under the same version."""
    root = Path(__file__).parents[1]
    return tree.digest(root, tree.entries(root, leftovers=False))


def recipe_digest(target: Target) -> str:
    """Return the digest of the recipe's settings, patches and scripts for this version; comments do not count."""
    return digest(target.recipe, target.settings, target.version)


def wheel_fingerprint(
    target: Target,
    wheel: ExpectedWheel,
    image: Image,
    *,
    source: str,
    needed: dict[str, str],
    config: SiteConfig,
    test: bool,
) -> str:
    """Return the fingerprint of *wheel*: the digest of all its inputs, and of whether it is tested."""
    return sha256_value(
        {
            "source": source,
            "package": target.package,
            "version": target.version,
            "recipe": recipe_digest(target),
            "wheel": [wheel.python, wheel.abi, str(wheel.interpreters[0])],
            "image": image.definition or image.digest,
            "needed": _taken(wheel, needed),
            "policy": [config.policy, config.architecture_floor],
            "tools": tools(),
            # Also where only upstream has tests: an untested wheel must not pass for a tested one.
            "tested": test,
        }
    )


def _taken(wheel: ExpectedWheel, needed: dict[str, str]) -> dict[str, str]:
    """Return which of the *needed* wheels its build or tests may take: those for one of its interpreters.

    All versions in the index folder count: the build's requirements decide later which one is installed.
    """
    return {
        file: sha256
        for file, sha256 in needed.items()
        if any(wheel_for(python, [WheelName.parse(file).pair]) for python in wheel.interpreters)
    }
