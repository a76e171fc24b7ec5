"""wheelyard: from one small recipe per package to tested riscv64 wheels on an index."""

import os

__version__ = "0.2.0"

# pydantic would look through all that is installed for plugins, which takes a good part of a short run's time.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
