"""Making a local image: get packages, write layers, load, try.

Nothing of the image runs before it is complete, nothing is unpacked but a few interpreters for this machine, and
all temporary files are in one folder that the next run removes if this one is killed.
"""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from wheelyard.core.errors import DiskError, EngineError, ImageError, ProgramError
from wheelyard.core.tags import manylinux
from wheelyard.images.local import compiler, debian, pythons, system
from wheelyard.images.local.layer import Layer
from wheelyard.images.local.oci import Layout, load
from wheelyard.images.local.packages import obtain
from wheelyard.io import cache, engine, files, guard, log

if TYPE_CHECKING:
    from pathlib import Path

    from wheelyard.core.values import Image
    from wheelyard.images.local.definition import Definition
    from wheelyard.images.local.lock import Packages

LABEL = "wheelyard.image"
_SCRATCH = "image"
# Temporary space to make an image, in bytes: packages and layers in the cache, and the storage's copies.
_NEED_CACHE = 2_500_000_000
_NEED_STORAGE = 3_000_000_000


def made(definition: Definition) -> Image | None:
    """Return the image if storage has it, as it was made."""
    stored = engine.inspect(definition.reference)
    if stored is None or stored.labels.get(f"{LABEL}.definition") != definition.digest:
        return None
    return definition.image(stored.digest, stored.labels.get(f"{LABEL}.gcc", ""))


def ensure(definition: Definition) -> Image:
    """Return the image, made now if it is not in storage; of two runs one makes it, and the other waits.

    Raises:
        ImageError: it cannot be made, or does not work.
        EngineError: podman is missing or does not work.
        DiskError: there is not enough space.
        NetworkError: a server does not answer.
    """
    if not engine.find().local_images:
        raise EngineError(
            "docker cannot hold a local image for riscv64",
            fix="install podman (ci/bootstrap true), or use --image official",
        )
    if image := made(definition):
        return image
    lock = cache.cache_dir("locks") / f"image-{definition.digest[:12]}.lock"
    with cache.lock(lock, what=f"{definition.reference} is being made"):
        if image := made(definition):
            return image
        work = cache.cache_dir("work")
        files.sweep_scratch(work, _SCRATCH)
        _check_space(work)
        with (
            log.step(f"making the local image {definition.choice} for {definition.policy}"),
            files.scratch(work, _SCRATCH) as scratch,
            guard.on_death(folders=[scratch]),
            files.disk_errors(scratch),
        ):
            return _make(definition, scratch)


def _check_space(work: Path) -> None:
    places = {work: _NEED_CACHE, engine.storage(): _NEED_STORAGE}
    devices: dict[int, tuple[Path, int]] = {}
    for place, need in places.items():
        device = place.stat().st_dev
        earlier = devices.get(device, (place, 0))
        devices[device] = (earlier[0], earlier[1] + need)
    short = [
        f"{place}: {shutil.disk_usage(place).free / 1e9:.1f} GB free, {need / 1e9:.1f} GB needed"
        for place, need in devices.values()
        if shutil.disk_usage(place).free < need
    ]
    if short:
        raise DiskError(
            "not enough space to make an image",
            details=short,
            fix="free some space (podman image prune; wheelyard image remove --all), then run the same command again",
        )


def _make(definition: Definition, scratch: Path) -> Image:
    layout = Layout(scratch / f"wheelyard-{definition.digest[:12]}")
    with ThreadPoolExecutor(1, thread_name_prefix="wheels") as pool:
        wheels = pool.submit(pythons.wheels, definition, scratch)
        with log.step("getting packages"):
            packages, paths = obtain(definition, scratch)
            tools = wheels.result()
    with (
        log.step("writing layers"),
        ThreadPoolExecutor(1, thread_name_prefix="python") as pool,
    ):
        python = pool.submit(_python, definition, packages, paths, tools, scratch)
        system.write(definition, (packages.base, packages.extra, packages.hosted), paths, layout)
        for layer in python.result():
            layout.add_layer(layer)
    gcc = compiler.gcc_version(packages.base, definition.gcc).partition("-")[0]
    labels = {
        LABEL: "local",
        f"{LABEL}.definition": definition.digest,
        f"{LABEL}.packages": packages.digest,
        f"{LABEL}.choice": str(definition.choice),
        f"{LABEL}.policy": definition.policy,
        f"{LABEL}.gcc": gcc,
        f"{LABEL}.glibc": definition.glibc,
        f"{LABEL}.interpreters": " ".join(str(interpreter) for interpreter in definition.interpreters),
        f"{LABEL}.compiler": "this machine's" if definition.host else "emulated",
    }
    layout.finish(definition.reference, arch=engine.TARGET_ARCH, env=_environment(definition), labels=labels)
    with log.step(f"loading {layout.size / 1e6:.0f} MB into the engine's storage"):
        stored = load(layout, definition.reference)
    with log.step("trying it"):
        _try(definition)
    return definition.image(stored.digest, gcc)


def _python(
    definition: Definition,
    packages: Packages,
    paths: dict[debian.Deb, Path],
    tools: dict[str, Path],
    scratch: Path,
) -> list[Layer]:
    """Write the layers of Python: the environments, and bytecode where this machine can make it."""
    sources = pythons.Sources(scratch / "modules")
    environments = Layer(scratch / "python.tar", sources.watch)
    pythons.populate(environments, definition, tools)
    if not definition.host:
        return [environments]
    for deb in packages.base:
        if deb.name.startswith("libpython3."):
            sources.add_package(debian.payload(deb, paths[deb]))
    host = scratch / "host"
    for deb in packages.python:
        pythons.unpack(debian.payload(deb, paths[deb]), host)
    sources.compile(definition, host)
    bytecode = Layer(scratch / "bytecode.tar")
    sources.add_bytecode(bytecode)
    return [environments, bytecode]


def _environment(definition: Definition) -> dict[str, str]:
    """Return the image's variables: those of the official images that builds look at."""
    manylinux_tag = manylinux(definition.policy)
    arch = manylinux_tag[1] if manylinux_tag else engine.TARGET_ARCH
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "AUDITWHEEL_PLAT": definition.policy,
        "AUDITWHEEL_POLICY": definition.policy.removesuffix(f"_{arch}"),
        "AUDITWHEEL_ARCH": arch,
        "LC_ALL": "C.UTF-8",
        "LANG": "C.UTF-8",
        "PKG_CONFIG_PATH": "/usr/local/lib/pkgconfig",
        "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
    }


_TRIAL = """
for python in "$@"; do "$python/bin/python" -m build --version; done
cd /tmp
echo 'int f(int x) { return x + 1; }' >a.c
echo '#include <string>\nstd::string g() { return "g"; }' >b.cc
gcc -O2 -fPIC -c a.c && g++ -O2 -fPIC -c b.cc && g++ -shared a.o b.o -o c.so
readelf -h c.so | grep -q 'Machine: *RISC-V'
for tool in auditwheel patchelf cmake uv; do "$tool" --version; done
"""


def _try(definition: Definition) -> None:
    """Start the interpreters, the compiler and the tools once; an image that does not work is removed.

    Raises:
        ImageError: something does not work.
    """
    pythons_in = [interpreter.path for interpreter in definition.interpreters]
    try:
        engine.run_in(definition.reference, ["sh", "-ec", _TRIAL, "sh", *pythons_in], timeout=300)
    except (ProgramError, EngineError) as error:
        engine.engine_run(["rmi", "--force", definition.reference], check=False)
        raise ImageError(
            "the new image does not work; it is removed", details=error.details, fix="wheelyard doctor"
        ) from error
