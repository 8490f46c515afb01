"""What the commands of all missions have in common: a campaign of exposures, calibrated."""
