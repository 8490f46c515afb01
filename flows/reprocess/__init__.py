"""What newer reference files or software make stale in an archive, reprocessed."""
