"""Calibrate Roman exposures with the real romancal pipelines: ``python -m flows.romancal``."""
