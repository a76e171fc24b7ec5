"""One function per arrow of the pipeline; siblings do not import each other."""
