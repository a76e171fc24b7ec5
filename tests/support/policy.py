"""Tables of the site configuration that several projects of the tests share; ``url`` and ``project`` are a GitLab's."""

from __future__ import annotations

SCOPES = ("api", "read_api", "read_repository", "write_repository")  # of the group token, in the project's own policy

BUILDS = """\
[tool.wheelyard]
interpreters = {pythons}
policy = "manylinux_2_39_riscv64"
image = "{image}"
min-free-gib = {space}
"""
REGISTRY = """
[tool.wheelyard.registries.gitlab]
kind = "gitlab"
url = "{url}"
project = "{project}"
local-images = true
"""
GROUP_TOKEN = """
[tool.wheelyard.issues]
url = "{url}"
project = "{project}"
variable = "PYTHON_CI_GROUP_TOKEN"

[[tool.wheelyard.tokens]]
name = "PYTHON_CI_GROUP_TOKEN"
kind = "group"
url = "{url}"
group = "riseproject/python"
variable = "PYTHON_CI_GROUP_TOKEN"
role = "Maintainer"
scopes = {scopes}
"""
