"""wheelyard: from one small recipe per package to tested riscv64 wheels on an index."""

__version__ = "0.1.0"
