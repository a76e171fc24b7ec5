"""What the registry verbs show to people."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import groupby
from typing import TYPE_CHECKING

from wheelyard.io import log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wheelyard.registries.inspect_registry import Adoption
    from wheelyard.registries.mirror import Mirroring
    from wheelyard.registries.prune import Pruned, Yanked
    from wheelyard.registries.registry_reports import ListedFile, RegistryListing, RegistryVerification
    from wheelyard.registries.remove import Removal
    from wheelyard.registries.smoke_test_report import TrialReport
    from wheelyard.registries.write_static_index import Front

_COMMIT = "commit the change in packages/"


def listing(report: RegistryListing) -> str:
    """Return a line for each version of each package."""
    rows = []
    for package, files in report.packages.items():
        for version, group in groupby(files, key=lambda file: file.version):
            rows.append((package, version or "?", *_version(list(group))))
            package = ""  # noqa: PLW2901 - named once
    count = sum(map(len, report.packages.values()))
    unknown = sum(file.sha256 is None for files in report.packages.values() for file in files)
    end = f"{count} files of {len(report.packages)} packages"
    if unknown:
        end += f"; {unknown} without a sha256, which no installer can check"
    table = log.table(("package", "version", "for", "files", "size", "notes"), rows) if rows else "nothing is there"
    return f"{table}\n\n{end}"


def _version(files: Sequence[ListedFile]) -> tuple[str, int, str, str]:
    pairs = sorted({pair for file in files for pair in file.interpreters})
    tags = [left if left == right else f"{left} {right}" for left, _, right in (pair.partition("-") for pair in pairs)]
    sizes = [file.size for file in files if file.size is not None]
    size = _amount(sum(sizes)) if len(sizes) == len(files) else "unknown"
    reasons = {file.yanked for file in files if file.yanked is not None}
    notes = [f"yanked: {'; '.join(sorted(reasons))}"] if reasons else []
    without = sum(file.sha256 is None for file in files)
    notes += [f"{without} without a sha256"] if without else []
    return ", ".join(tags) or "-", len(files), size, ", ".join(notes)


def _amount(size: int) -> str:
    return f"{size / 1e3:.0f} kB" if size < 1e6 else f"{size / 1e6:.1f} MB"  # noqa: PLR2004 - a megabyte


def verification(report: RegistryVerification) -> str:
    """Return what is wrong; what is wrong in the same way stands together, with its fix."""
    how = "read back" if report.downloaded else "compared by the index"
    end = f"{report.files} files of {report.packages} packages {how}"
    if report.ok:
        return f"{end}: all as recorded"
    groups: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for each in report.problems:
        groups[each.kind, each.text, each.fix].append(each.file or each.package)
    lines = []
    for (kind, text, fix), names in groups.items():
        lines += [f"{kind}: {text}", *(f"  {name}" for name in names), f"  to do: {fix}", ""]
    counts = Counter(each.kind for each in report.problems)
    end += ": " + ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
    return "\n".join([*map(log.clean, lines), end])


def adopted(result: Adoption) -> str:
    """Return what was recorded."""
    lines = [f"recorded: {file}" for file in result.adopted]
    end = f"{len(result.adopted)} recorded"
    return "\n".join([*lines, f"{end}; {_COMMIT}" if lines else end])


def pruned(result: Pruned) -> str:
    """Return what becomes of each version."""
    rows = [
        ("keep" if each.reason else "delete", each.project, each.version, len(each.files), each.reason)
        for each in result.plan
    ]
    doomed = result.deleted if not result.dry_run else [each for each in result.plan if not each.reason]
    count = f"{len(doomed)} versions, {sum(len(each.files) for each in doomed)} files"
    if not result.keep:
        end = "site configuration keeps all versions (keep = 0); --keep N keeps N"
    elif result.dry_run:
        end = f"would be deleted: {count}; nothing was, without --delete"
    else:
        end = f"deleted: {count}" + (f"; {_COMMIT}" if doomed and result.recorded else "")
    table = log.table(("", "package", "version", "files", "why"), rows) if rows else "nothing is there"
    return f"{table}\n\n{end}"


def removed(result: Removal) -> str:
    """Return what becomes of each file."""
    rows = [
        ("delete", each.file, each.copies, f"sha256 {each.staying}" if each.staying else "nothing")
        for each in result.files
    ]
    count = f"{sum(each.copies for each in result.files)} files of {result.package}"
    end = f"would be deleted: {count}; nothing was, without --delete" if result.dry_run else f"deleted: {count}"
    return f"{log.table(('', 'file', 'copies', 'stays'), rows)}\n\n{end}"


def yanked(result: Yanked, place: str, *, undo: bool) -> str:
    """Return what was marked, and where it can be seen."""
    lines = [f"{'no longer yanked' if undo else 'yanked'}: {file}" for file in result.files]
    if not result.shown:
        lines.append(f"{place} cannot show it; write our index anew: wheelyard registry index --of {place} --to DIR")
    if result.recorded:
        lines.append(_COMMIT)
    return "\n".join(lines)


def mirrored(result: Mirroring, target: str) -> str:
    """Return what was copied."""
    would = "would be " if result.dry_run else ""
    lines = [f"{would}copied: {file}" for file in result.copied]
    lines += [f"{would}yanked: {file}" for file in result.yanked]
    lines.append(f"{target}: {len(result.copied)} {would}copied, {result.there} there before")
    if result.recorded and not result.dry_run and (result.copied or result.yanked):
        lines.append(_COMMIT)
    if not result.complete:
        lines.append("the same command goes on where this one stopped")
    return "\n".join(lines)


def front(result: Front) -> str:
    """Return what the index lists, and how to install from it."""
    simple = (result.folder.resolve() / "simple").as_uri()
    lines = [f"left out: {reason}" for reason in result.left_out]
    lines.append(
        f"{result.files} files of {result.packages} packages in {result.folder}; {result.changed} pages changed"
    )
    if result.private:
        lines.append("the project is private: installers need a login for its files, in ~/.netrc")
    return "\n".join([*lines, "", f"pip install PACKAGE --prefer-binary --extra-index-url {simple}/"])


def trial(report: TrialReport) -> str:
    """Return what became of each published version with each interpreter."""
    rows = [(each.package, each.version, each.interpreter, each.state, each.text) for each in report.trials]
    failed = sum(each.state != "ok" for each in report.trials)
    lines = [log.table(("package", "version", "for", "trial", "said"), rows)] if rows else ["nothing was tried"]
    if report.left_out:
        lines += ["", f"no wheel for an interpreter of {report.image}: {', '.join(report.left_out)}"]
    return "\n".join([*lines, "", f"{len(rows)} tried in {report.image}, {failed} failed"])
