"""What tests let a machine do instead of a build, as words of bash; ``$WHEELYARD_JOB`` is the job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wheelyard.records.lockfile import read_lock, write_lock

if TYPE_CHECKING:
    from pathlib import Path

# Each version fails in words of its own, and at once: for what is about how many there are.
FAIL: Final = r"""
value() { [[ $WHEELYARD_JOB =~ \"$1\":\ *\"([^\"]+)\" ]] && echo "${BASH_REMATCH[1]}"; }
package=$(value package) version=$(value version) key=$(value key)
folder=${WHEELYARD_ARTIFACT:-dist/$package/$version} # GitLab's jobs bring it themselves
mkdir -p "$folder"
cat >"$folder/outcome-cp313.json" <<END
{"schema": "wheelyard/outcome-of-wheel", "version": 1, "job": "$(value name)", "key": "$key", "package": "$package",
"package_version": "$version", "interpreters": ["cp313"], "state": "failed", "ended": "2026-01-01T00:00:00+00:00",
"failure": {"code": 40, "what": "$version has its own reason"}}
END
if [[ -n ${GITHUB_OUTPUT:-} ]]; then
    printf '%s\n' "artifact=wheel-$package-$version" "path=$folder/outcome-cp313.json" >>"$GITHUB_OUTPUT"
fi
"""


def widen(lock: Path, versions: int) -> None:
    """Pin so many versions more, as the one that is there; nobody has their sources."""
    pinned = read_lock(lock)
    (there,) = pinned.versions
    names = [f"1.{number}" for number in range(1, versions + 1)]
    more = [there.model_copy(update={"version": name, "file": f"tiny-{name}.tar.gz"}) for name in names]
    write_lock(lock, pinned.model_copy(update={"versions": (there, *more)}))
