"""Images to build in: the official manylinux image by digest, or one made here from Debian's riscv64 port.

:func:`resolve` says which image a choice means and never makes one; :func:`ensure` has it ready; a local image is
content-addressed by what it is made by, and reused.
"""

from __future__ import annotations

from wheelyard.core.errors import EngineError, ImageError
from wheelyard.core.values import Image, ImageChoice
from wheelyard.images import official
from wheelyard.images.local import build, definition
from wheelyard.io import engine, files
from wheelyard.io.cache import cache_dir

__all__ = [
    "Image",
    "ImageChoice",
    "ensure",
    "list_images",
    "local_extras",
    "registry",
    "registry_answers",
    "remove",
    "resolve",
    "suites",
]

suites = definition.suites
local_extras = definition.extras
registry = official.registry
registry_answers = official.answers


def resolve(choice: ImageChoice, policy: str, *, offline: bool = False) -> Image:
    """Return the image that *choice* means, made or not: what it has is known without it.

    ``auto`` asks the registry of the official image whether it is there, at most every ten minutes and for at most
    five seconds. With *offline* nothing is asked, neither registry nor container engine: the last answer is
    believed, where there is none the local image is meant, and no digest of a local image is known.

    Raises:
        ConfigError: no such suite or extra.
        ImageError: cibuildwheel pins no image for *policy*.
    """
    kind = choice.kind
    if kind == "auto":
        there = official.answers(policy, offline=True) if offline else official.available(policy)
        kind = "official" if there else "local"
    if kind == "official":
        return official.resolve(policy)
    exact = ImageChoice("local", choice.suite, choice.emulated_compiler, choice.extras)
    loaded = definition.load(exact, policy)
    if offline:
        return loaded.image()
    try:
        return build.made(loaded) or loaded.image()
    except EngineError:
        return loaded.image()


def ensure(image: Image) -> Image:
    """Have an image ready: pull the official one, make the local one; return it with its digest.

    Raises:
        ImageError: it cannot be had.
        EngineError: the container engine is missing or does not work.
        DiskError: there is not enough space.
        NetworkError: a server does not answer.
    """
    if image.kind == "official":
        return official.ensure(image)
    return build.ensure(definition.load(image.choice, image.policy))


def list_images() -> list[engine.ImageInfo]:
    """Return the local images in storage, by name.

    Raises:
        EngineError: the container engine is missing or does not work.
    """
    return engine.images(build.LABEL)


def remove(reference: str) -> None:
    """Remove an image from storage, and what an interrupted run left of one.

    Raises:
        ImageError: it is not there, or in use.
        EngineError: the container engine is missing or does not work.
    """
    files.sweep_scratch(cache_dir("work"), "image")
    if engine.inspect(reference) is None:
        raise ImageError("no such image", where=reference, fix="wheelyard image list")
    done = engine.engine_run(["rmi", reference], check=False)
    if done.returncode != 0:
        raise ImageError(
            "the image cannot be removed",
            where=reference,
            details=done.stderr.strip().splitlines()[-2:],
            fix="end the runs that use it (podman ps -a)",
        )
