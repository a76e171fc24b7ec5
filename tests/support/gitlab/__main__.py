"""Serve a GitLab from a process of its own, for benchmarks: `python -m support.gitlab --root DIR [--port N]`.

Prints one line of JSON when it listens: `url`, `project` (its id), `path`, and made-up tokens: `deploy_token`,
`read_only` (a deploy token without write), `group_token`, and the same as `maintainer`, so that the line is what
``WHEELYARD_LIVE_GITLAB`` wants. Ends with SIGTERM or Ctrl-C, or with its standard input if started `--with-stdin`.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from datetime import timedelta
from pathlib import Path

import uvicorn

from support.gitlab.app import App
from support.gitlab.faults import Fault
from support.gitlab.serve import config, listen
from support.gitlab.state import GitLab


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m support.gitlab")
    parser.add_argument("--root", type=Path, required=True, help="folder for what is stored")
    parser.add_argument("--port", type=int, default=0, help="0 for a free one")
    parser.add_argument("--path", default="riseproject/python/wheel_builder", help="of the project")
    parser.add_argument("--visibility", default="public", choices=["public", "internal", "private"])
    parser.add_argument("--preload", type=int, default=0, metavar="N", help="records without bytes")
    parser.add_argument("--json", action="store_true", help="PEP 691 pages, as the newest GitLab")
    parser.add_argument("--pace", type=float, default=0, metavar="SECONDS", help="of each GET and upload")
    parser.add_argument("--with-stdin", action="store_true", help="end when standard input does")
    given = parser.parse_args(words)

    gitlab = GitLab(given.root)
    gitlab.project_setting.pep691 = given.json
    project = gitlab.add_project(given.path, given.visibility)
    group = gitlab.add_group(given.path.rpartition("/")[0])
    gitlab.preload(project, given.preload)
    if given.pace:
        gitlab.fault(Fault("stall", seconds=given.pace))
    group_token = gitlab.add_group_token(group, expires_at=(gitlab.now() + timedelta(days=365)).date())
    tokens = {
        "deploy_token": gitlab.add_deploy_token(project),
        "read_only": gitlab.add_deploy_token(project, scopes=("read_package_registry",)),
        "group_token": group_token,
        "maintainer": group_token,
    }
    with listen(given.port) as listener:
        server = uvicorn.Server(config(App(gitlab)))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        sys.stdout.write(json.dumps({"url": url, "project": project.id, "path": project.path, **tokens}) + "\n")
        sys.stdout.flush()
        if given.with_stdin:
            threading.Thread(target=_end_with_stdin, args=(server,), daemon=True).start()
        server.run(sockets=[listener])


def _end_with_stdin(server: uvicorn.Server) -> None:
    sys.stdin.buffer.read()
    server.should_exit = server.force_exit = True


if __name__ == "__main__":
    main()
