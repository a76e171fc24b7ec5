"""A GitLab for the tests: its PyPI registry and the API around it, over real HTTP, with faults on request.

It behaves as GitLab's own source and request specs say; each behaviour names its file there (`lib/api/…`, `app/…`,
`spec/…`). Set it up, serve it, look at what it got::

    gitlab = GitLab(tmp_path)
    project = gitlab.add_project("riseproject/python/wheel_builder")
    token = gitlab.add_deploy_token(project)
    gitlab.fault(Fault("status_after", method="POST", path="/packages/pypi$", status=502, times=1))
    with serve(gitlab) as server:
        upload_to(f"{server.url}/api/v4/projects/{project.id}/packages/pypi", token)
    assert [file.file_name for file in gitlab.files(project)] == ["demo-1.0-py3-none-any.whl"]
"""

from support.gitlab.faults import Fault
from support.gitlab.model import Group, Project, Settings, StoredFile, User
from support.gitlab.serve import Server, serve
from support.gitlab.state import GitLab, Seen

__all__ = ["Fault", "GitLab", "Group", "Project", "Seen", "Server", "Settings", "StoredFile", "User", "serve"]
