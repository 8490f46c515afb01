"""What the commands of all missions have in common: a programme of exposures, calibrated."""
