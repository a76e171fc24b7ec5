"""Sources: the one tree that a version is built from, verified, unpacked and patched."""
