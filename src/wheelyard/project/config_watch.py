"""Site policy on the upstream watch (``[tool.wheelyard.watch]``)."""

from __future__ import annotations

from pydantic import Field

from wheelyard.project.model import Model


class WatchPolicy(Model):
    """What `check-upstream` goes by."""

    cool_down: int = Field(
        3, ge=0, le=365, description="Days that a release is left alone: wheels come late, and bad ones are yanked."
    )
    versions: int = Field(3, gt=0, le=10, description="How many new versions of a package are told of.")
    parallel: int = Field(32, gt=0, le=64, description="Pages of the index that are read at once.")
