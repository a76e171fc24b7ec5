"""``python -m wheelyard`` is the ``wheelyard`` command."""

from wheelyard.cli.main import main

if __name__ == "__main__":
    main()
