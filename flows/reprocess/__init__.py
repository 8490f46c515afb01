"""What newer reference files or software make stale in an archive, made anew, and only that."""
