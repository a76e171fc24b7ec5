"""Build: one cibuildwheel run per job, in a riscv64 container, and a log that says where time went."""

from wheelyard.builder.cibuildwheel import BuildRequest, BuildResult, build
from wheelyard.builder.cibuildwheel_config import compose

__all__ = ["BuildRequest", "BuildResult", "build", "compose"]
