"""Build wheels: one cibuildwheel run per job, in a riscv64 container."""

from wheelyard.builder.cibuildwheel import BuildRequest, BuildResult, build
from wheelyard.builder.cibuildwheel_config import compose

__all__ = ["BuildRequest", "BuildResult", "build", "compose"]
