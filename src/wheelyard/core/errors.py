"""Every error of the tool: its exit code, what happened, where, and what to do next.

A :class:`WheelyardError` is caused by input or by the state of the machine; any other exception is a bug of ours and
keeps its traceback. Codes follow the stages of the pipeline and never change their meaning; 1 is the code of a bug
and 2 of a wrong command line, as usual for command-line programs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable


class WheelyardError(Exception):
    """An error that the user can fix.

    Args:
        what: what happened, one sentence.
        fix: what to do next, a command if there is one.
        where: the place of the cause, ``file:line`` or a name.
        details: the single problems, if there are several.
    """

    exit_code: ClassVar[int] = 3
    news: ClassVar[bool] = False  # no failure; pipelines ignore it once an issue or change request reports it

    def __init__(
        self, what: str, *, fix: str | None = None, where: str | None = None, details: Iterable[str] = ()
    ) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix
        self.where = where
        self.details = tuple(details)

    @property
    def head(self) -> str:
        """The first line: where, and what happened."""
        return f"{self.where}: {self.what}" if self.where else self.what

    def __str__(self) -> str:
        """The whole message, as a person reads it."""
        lines = [self.head, *(f"  - {detail}" for detail in self.details)]
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)


class ConfigError(WheelyardError):
    """Site configuration (``[tool.wheelyard]``) or the project folder is not usable."""

    exit_code = 4


class ListError(WheelyardError):
    """A list that was given, of requirements or of names, cannot be read."""

    exit_code = 5


class RecipeError(WheelyardError):
    """A recipe or fragment is not valid."""

    exit_code = 10


class UnknownPackageError(WheelyardError):
    """There is no recipe, or no project on the index, of that name."""

    exit_code = 11


class UnknownVersionError(WheelyardError):
    """The package has no such version, or it is yanked."""

    exit_code = 12


class SourceError(WheelyardError):
    """The source is not available: no sdist, a missing tag, an sdist script that fails."""

    exit_code = 13


class DigestMismatchError(SourceError):
    """A file has another hash or size than expected."""

    exit_code = 14


class UnsafeArchiveError(SourceError):
    """An archive has paths outside of its folder, or is too large."""

    exit_code = 15


class PatchError(SourceError):
    """A patch does not apply, or does not state its upstream status."""

    exit_code = 16


class UpstreamNewsError(WheelyardError):
    """Upstream has changed: there is something to do."""

    exit_code = 17
    news = True


class UpstreamUnknownError(WheelyardError):
    """The status of some packages is unknown."""

    exit_code = 18


class UnavailableError(WheelyardError):
    """A requirement is not available on riscv64: there is no wheel, and no source to compile."""

    exit_code = 19


class PlanError(WheelyardError):
    """Nothing can be planned: no interpreter is left, or the lock is not usable."""

    exit_code = 20


class PreflightError(WheelyardError):
    """A version would not build, according to its preflight."""

    exit_code = 21


class ReviewError(WheelyardError):
    """A change cannot be merged: its commits, recipes, records or description have problems."""

    exit_code = 22


class NeededWheelError(PlanError):
    """A wheel of ours that the build needs is neither built here nor in our registry."""

    exit_code = 23


class EngineError(WheelyardError):
    """No container engine, no binfmt registration, or one that does not work."""

    exit_code = 30


class ImageError(WheelyardError):
    """The build image cannot be pulled or made."""

    exit_code = 31


class BuildError(WheelyardError):
    """The build ran and failed."""

    exit_code = 40


class TestsFailedError(BuildError):
    """The wheel was built, upstream's tests failed on it."""

    __test__ = False  # not a test class, whatever its name says to pytest
    exit_code = 41


class StepTimeoutError(BuildError):
    """A step took longer than its recipe allows."""

    exit_code = 42


class JobsFailedError(WheelyardError):
    """Some jobs of a plan did not build their wheels."""

    exit_code = 43
    news = True


class CollectError(WheelyardError):
    """A result of a job is refused."""

    exit_code = 44


class StalledError(BuildError):
    """A build used almost no processor time for minutes: under emulation, a deadlock of QEMU."""

    exit_code = 45


class CheckError(WheelyardError):
    """A wheel fails a check."""

    exit_code = 50


class PublishError(WheelyardError):
    """A wheel may not be published, or the registry refuses it."""

    exit_code = 60


class ConflictError(PublishError):
    """The registry has another file of the same name."""

    exit_code = 61


class CredentialsError(PublishError):
    """No credential, or one that the registry does not accept for this."""

    exit_code = 62


class RegistryContentError(PublishError):
    """The content of a registry differs from the records."""

    exit_code = 63


class TokenDueError(WheelyardError):
    """A token or renewal is due soon."""

    exit_code = 64
    news = True


class TokenDeadError(WheelyardError):
    """A token is invalid, or the day of a renewal has passed."""

    exit_code = 65


class TokenScopeError(WheelyardError):
    """A token may do more, or less, than the site configuration says."""

    exit_code = 66


class VulnerableError(WheelyardError):
    """A published wheel has a known vulnerability."""

    exit_code = 67
    news = True


class TrialError(WheelyardError):
    """A published wheel cannot be installed from the registry, or not imported."""

    exit_code = 68


class NetworkError(WheelyardError):
    """A server cannot be reached, or its answer is not valid."""

    exit_code = 70


class NotServedError(NetworkError):
    """The server does not have the file, or no longer has it (404, 410)."""

    exit_code = 73


class DiskError(WheelyardError):
    """The disk is full, or a folder is not writable."""

    exit_code = 71


class ProgramError(WheelyardError):
    """A program that we call is missing, or failed unexpectedly."""

    exit_code = 72


class InterruptedRunError(WheelyardError):
    """The user stopped the run (Ctrl-C); the shell's convention for SIGINT is 130."""

    exit_code = 130


def all_errors() -> tuple[type[WheelyardError], ...]:
    """Return every error class with an exit code of its own, by exit code."""
    classes: set[type[WheelyardError]] = {WheelyardError}
    parents: list[type[WheelyardError]] = [WheelyardError]
    while parents:
        for child in parents.pop().__subclasses__():
            classes.add(child)
            parents.append(child)
    return tuple(sorted((error for error in classes if "exit_code" in vars(error)), key=lambda error: error.exit_code))
