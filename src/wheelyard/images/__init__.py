"""Images to build in: the official manylinux image by digest, or one made here from Debian's riscv64 port.

:func:`resolve` finds the image of a choice and never makes one; :func:`ensure` pulls or makes it. A local image is
named by the digest of its definition, and reused.
"""

from __future__ import annotations

from wheelyard.core.errors import EngineError, ImageError
from wheelyard.core.values import Image, ImageChoice
from wheelyard.images import official
from wheelyard.images.local import definition
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
    """Return the image of *choice*, whether it exists yet or not: its content is known without it.

    ``auto`` sends a request to the registry of the official image, at most every ten minutes and with a timeout of
    five seconds. With *offline* there is no request, neither to the registry nor to the container engine: the last
    answer counts, without one the choice is the local image, and its digest is unknown.

    Raises:
        ConfigError: no such suite or extra.
        ImageError: cibuildwheel pins no image for *policy*.
    """
    kind = choice.kind
    if kind == "auto":
        reachable = official.answers(policy, offline=True) if offline else official.available(policy)
        kind = "official" if reachable else "local"
    if kind == "official":
        return official.resolve(policy)
    exact = ImageChoice("local", choice.suite, choice.emulated_compiler, choice.extras)
    loaded = definition.load(exact, policy)
    if offline:
        return loaded.image()
    try:
        from wheelyard.images.local import build  # a plan for the official image does not pay for it

        return build.made(loaded) or loaded.image()
    except EngineError:
        return loaded.image()


def ensure(image: Image) -> Image:
    """Pull the official image, or make the local one, and return it with its digest.

    Raises:
        ImageError: it cannot be pulled or made.
        EngineError: the container engine is missing or does not work.
        DiskError: there is not enough space.
        NetworkError: a server does not answer.
    """
    if image.kind == "official":
        return official.ensure(image)
    from wheelyard.images.local import build

    return build.ensure(definition.load(image.choice, image.policy))


def list_images() -> list[engine.ImageInfo]:
    """Return the local images in storage, by name.

    Raises:
        EngineError: the container engine is missing or does not work.
    """
    from wheelyard.images.local import build

    return engine.images(build.LABEL)


def remove(reference: str) -> None:
    """Remove an image from storage, and leftovers of interrupted runs.

    Raises:
        ImageError: it does not exist, or is in use.
        EngineError: the container engine is missing or does not work.
    """
    files.sweep_scratch(cache_dir("work"), "image")
    if engine.inspect(reference) is None:
        raise ImageError("no such image", where=reference, fix="wheelyard image list")
    completed = engine.engine_run(["rmi", reference], check=False)
    if completed.returncode != 0:
        raise ImageError(
            "the image cannot be removed",
            where=reference,
            details=completed.stderr.strip().splitlines()[-2:],
            fix="end the runs that use it (podman ps -a)",
        )
