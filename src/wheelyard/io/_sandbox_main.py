"""Runs a stranger's program where it can neither see nor read any process of ours: ``_sandbox_main.py COMMAND…``.

Run as ``python -I -S``; imports the standard library only. The program gets a user namespace: whoever is outside of it
cannot be traced, nor can ``/proc/PID/environ`` or ``mem`` be read, by root neither (ptrace(2), "Ptrace access mode
checking"; security/commoncap.c, cap_ptrace_access_check); and a PID namespace with a ``/proc`` of its own, which ends
with it, daemons and all. Container engines' sockets, by which one gets out of any of that, are covered. No capability
is left to take a cover off, and no setuid program gives more (PR_SET_NO_NEW_PRIVS).

Ends as the command does, with 128 and the signal's number if one has ended it; with 125 if nothing was run because the
machine does not let us.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

NOT_APART = 125
_NOBODY = 65534  # as root, tar and its like would change owners, of which there are no others in there
_NEWNS, _NEWIPC, _NEWUSER, _NEWPID = 0x20000, 0x08000000, 0x10000000, 0x20000000  # <linux/sched.h>
_BIND, _REC, _PRIVATE = 0x1000, 0x4000, 0x40000  # <linux/mount.h>
_NOSUID, _NODEV, _NOEXEC = 0x2, 0x4, 0x8
_PDEATHSIG, _CAPBSET_DROP, _NO_NEW_PRIVS = 1, 24, 38  # <linux/prctl.h>
_CAPABILITIES = 64  # more than there are; those that are not are refused
_SOCKETS = ("docker.sock", "containerd/containerd.sock", "podman/podman.sock", "crio/crio.sock")
_libc = ctypes.CDLL(None, use_errno=True)


def _done(answer: int) -> None:
    if answer != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _mount(source: str, target: str, kind: str, flags: int) -> None:
    _done(_libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), None))


def _leave() -> None:
    """Enter namespaces of our own: the same user, whom root's programs in there take for nobody."""
    user, group = os.geteuid(), os.getegid()
    _done(_libc.unshare(_NEWUSER | _NEWNS | _NEWPID | _NEWIPC))
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")  # user_namespaces(7)
    Path("/proc/self/uid_map").write_text(f"{user or _NOBODY} {user} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{group or _NOBODY} {group} 1", encoding="ascii")


def _cover() -> None:
    """Hide our processes and container engines; give up what could show them again."""
    _mount("none", "/", "", _REC | _PRIVATE)
    _mount("proc", "/proc", "proc", _NOSUID | _NODEV | _NOEXEC)
    for folder in (Path("/run"), Path(f"/run/user/{os.geteuid()}")):
        for name in _SOCKETS:
            if os.access(folder / name, os.F_OK):
                _mount("/dev/null", str(folder / name), "", _BIND)
    for number in range(_CAPABILITIES):
        _libc.prctl(_CAPBSET_DROP, number, 0, 0, 0)
    _done(_libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0))


def _first(command: list[str], parent: int) -> None:
    """Be the first process in there, until the command takes our place."""
    try:
        _libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.write(parent, b".")  # fails if it has died before that
        _cover()
        os.execvp(command[0], command)  # noqa: S606 - that is what we are for
    except OSError as error:
        os.write(parent, str(error).encode())
    finally:
        os._exit(NOT_APART)


def main(command: list[str]) -> int:
    """Run *command*, and return how this program is to end."""
    try:
        _leave()
    except OSError as error:
        sys.stderr.write(f"no namespace: {error}\n")
        return NOT_APART
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _first(command, writer)
    os.close(writer)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os.kill(child, signal.SIGKILL))
    with os.fdopen(reader, "rb") as pipe:
        problem = pipe.read()[1:].decode(errors="replace")  # the command's start closes it
    _, status = os.waitpid(child, 0)
    if problem:
        sys.stderr.write(f"no namespace: {problem}\n")
        return NOT_APART
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
