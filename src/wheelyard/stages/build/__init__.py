"""Build: one cibuildwheel run per job, in a riscv64 container, and a log that says where time went."""

from wheelyard.stages.build.cibuildwheel import BuildOutcome, BuildRequest, build
from wheelyard.stages.build.config import compose

__all__ = ["BuildOutcome", "BuildRequest", "build", "compose"]
