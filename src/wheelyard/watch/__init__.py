"""Watch: how packages stand against upstream, and what is available for riscv64."""
