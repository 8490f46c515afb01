"""A mission in miniature: all that a calibration package on this API consists of."""
