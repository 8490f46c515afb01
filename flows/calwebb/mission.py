"""What `flows.calibrate` has to know of JWST."""

from __future__ import annotations

from flows.calibrate.mission import Help, Mission

from .exposure_types import PIPELINES
from .header import facts
from .stages import is_for, job_for

JWST = Mission(
    command="calwebb",
    flow="flows.calwebb.flow:calwebb",
    sample="flows.sample:ensure_sample",
    preload="flows.calwebb.preload",
    observatory="jwst",
    package="jwst",
    pipelines=PIPELINES,
    stages=(1, 2, 3),
    exposures=("*_uncal.fits", "*_rate.fits"),
    combines=is_for,
    job_for=job_for,
    facts=facts,
    associate="flows.calwebb.associations:associate",
    know_suffix="flows.calwebb.products:know_suffix",
    shared_grids="flows.calwebb.associations.grid:shared_grids",
    help=Help(
        flow="Calibrate JWST exposures, each with the pipelines for its exposure type.",
        description="""\
Calibrate JWST exposures with the real jwst pipelines, every step a Prefect task.

Without FILE, the command calibrates the embedded sample program, from raw exposures to a
combined image and its source catalogue, and compares the products with the simulated truth.""",
        files="_uncal.fits, _rate.fits or association .json, a pattern, or a folder of these",
        context="jwst_1303.pmap",
        parameters=("--save_calibrated_ramp=true", "--steps.jump.rejection_threshold=5"),
    ),
)
