"""The reference files of the miniature cache, one module an instrument."""
