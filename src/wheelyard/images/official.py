"""The official manylinux image: its reference, and whether it is available."""

from __future__ import annotations

import configparser
import functools
import json
import time
import tomllib
from importlib import resources
from urllib.parse import urlsplit

from wheelyard.core.errors import EngineError, ImageError
from wheelyard.core.tags import Interpreter, manylinux
from wheelyard.core.values import Image, ImageChoice
from wheelyard.io import cache, engine, files, http, log

_REMEMBERED = 600  # seconds for which the answer of a registry is believed
_PATIENCE = 5.0  # seconds that a registry is given to answer
_AUTHENTICATE = 401  # the answer without a token: the registry works (OCI distribution spec)


@functools.cache
def pin(policy: str) -> str:
    """Return the official image of *policy*, by digest, as the installed cibuildwheel pins it.

    Raises:
        ImageError: it pins none.
    """
    tag = manylinux(policy)
    config = configparser.ConfigParser(inline_comment_prefixes=("#",))
    config.read_string(resources.files("cibuildwheel").joinpath("resources/pinned_docker_images.cfg").read_text())
    arch = tag[1] if tag else ""
    short = policy.removesuffix(f"_{arch}")
    if not tag or not config.has_option(arch, short):
        raise ImageError(
            f"this cibuildwheel pins no image for {policy}",
            fix="set 'policy' in [tool.wheelyard] to one of its manylinux images, or use --image local",
        )
    return config.get(arch, short).strip()


@functools.cache
def interpreters(arch: str) -> tuple[Interpreter, ...]:
    """Return the CPythons of the official manylinux images for *arch*, as the installed cibuildwheel knows them."""
    text = resources.files("cibuildwheel").joinpath("resources/build-platforms.toml").read_text()
    builds = tomllib.loads(text)["linux"]["python_configurations"]
    suffix = f"-manylinux_{arch}"
    names = [entry["identifier"].removesuffix(suffix) for entry in builds if entry["identifier"].endswith(suffix)]
    return tuple(Interpreter.parse(name) for name in names if name.startswith("cp"))


def resolve(policy: str) -> Image:
    """Return the official image of *policy*, whether or not it is here."""
    reference = pin(policy)
    (major, minor), arch = manylinux(policy) or ((0, 0), "")
    return Image(
        kind="official",
        reference=reference,
        digest=reference.partition("@")[2],
        interpreters=interpreters(arch),
        policy=policy,
        glibc=f"{major}.{minor}",
        gcc="",
        suite="",
        public=True,
        definition="",
        choice=ImageChoice("official"),
    )


def available(policy: str) -> bool:
    """Check whether the official image is in local storage, or its registry answers."""
    return _stored(policy) or answers(policy)


def registry(policy: str) -> str:
    """Return the host of the official image's registry."""
    return urlsplit(f"https://{pin(policy)}").netloc


def answers(policy: str, *, offline: bool = False) -> bool:
    """Check whether the registry of the official image answers.

    The answer is stored for ten minutes; *offline* returns the last stored answer, without a request.
    """
    host = registry(policy)
    memory = cache.cache_dir("registries") / f"{host.replace(':', '_')}.json"
    try:
        stored = json.loads(memory.read_text())
        reachable, asked_at = bool(stored["answers"]), float(stored["asked"])
    except (OSError, ValueError, KeyError, TypeError):
        reachable, asked_at = False, 0.0
    if offline or 0 <= time.time() - asked_at < _REMEMBERED:
        return reachable
    status = http.status_of(f"https://{host}/v2/", timeout=_PATIENCE)
    reachable = status is not None and (200 <= status < 300 or status == _AUTHENTICATE)  # noqa: PLR2004
    files.write_json(memory, {"answers": reachable, "asked": time.time()})
    return reachable


def _stored(policy: str) -> bool:
    try:
        return engine.inspect(pin(policy)) is not None
    except EngineError:
        return False  # without an engine there is no storage; a build reports that


def ensure(image: Image) -> Image:
    """Pull the image if it is missing; see :func:`have`."""
    have(image.reference)
    return image


def have(reference: str) -> None:
    """Pull an official image if it is missing.

    Raises:
        ImageError: the registry does not have it, or has it for another platform.
        EngineError: there is no engine.
    """
    stored = engine.inspect(reference)
    if stored is None:
        with log.step(f"pulling {reference.partition('@')[0]}"):
            completed = engine.engine_run(
                ["pull", "--quiet", f"--platform=linux/{engine.TARGET_ARCH}", reference],
                check=False,
                timeout=3600,
            )
        stored = engine.inspect(reference)
        if stored is None:
            last = [log.clean(line) for line in completed.stderr.splitlines() if line.strip()][-3:]
            raise ImageError(
                "the official image cannot be pulled",
                where=reference,
                details=last,
                fix="check the network, or add --image local to use an image made on this machine",
            )
    if stored.platform != f"linux/{engine.TARGET_ARCH}":
        raise ImageError(f"the image is for {stored.platform}", where=reference, fix=f"podman rmi {reference}")
