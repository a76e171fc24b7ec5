"""The ``wheelyard`` command: parse the command line, call one function, show its report.

A user's mistake ends with its message and its exit code (:mod:`wheelyard.core.errors`); a bug keeps its
traceback. Results go to standard output, everything else to standard error.
"""

from __future__ import annotations

import signal
import sys
import traceback
from typing import TYPE_CHECKING

import click

from wheelyard.cli.commands import cli
from wheelyard.core.errors import InterruptedRunError, WheelyardError
from wheelyard.io import log

if TYPE_CHECKING:
    from types import FrameType


def main() -> None:
    """Run the command line; the exit code is the error's."""
    log.setup()
    signal.signal(signal.SIGTERM, _terminated)
    try:
        result = cli.main(prog_name="wheelyard", standalone_mode=False)
        sys.exit(result if isinstance(result, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        log.error("interrupted; nothing is left running, and the same command goes on where it stopped")
        sys.exit(InterruptedRunError.exit_code)
    except WheelyardError as error:
        log.error(str(error))
        sys.exit(error.exit_code)
    except Exception:  # noqa: BLE001 - a bug
        # Python, or a hook of the user's environment that shows variables, would print secrets.
        log.bug(traceback.format_exc())
        sys.exit(1)


def _terminated(_number: int, _frame: FrameType | None) -> None:
    # A polite end request tidies up the same way as Ctrl-C.
    raise KeyboardInterrupt
