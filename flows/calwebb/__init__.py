"""Calibrate JWST exposures with the real jwst pipelines: ``python -m flows.calwebb``."""
