"""Local images: made on this machine from Debian's riscv64 port."""
