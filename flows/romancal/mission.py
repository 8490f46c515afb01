"""What `flows.calibrate` has to know of Roman."""

from __future__ import annotations

from flows.calibrate.mission import Help, Mission

from .header import facts
from .pipelines import MOSAIC, PIPELINES, job_for, pipeline_for

ROMAN = Mission(
    command="romancal",
    flow="flows.romancal.flow:romancal",
    sample="flows.romancal.sample.store:ensure_sample",
    preload="flows.romancal.preload",
    observatory="roman",
    package="romancal",
    pipelines=PIPELINES,
    stages=(),
    exposures=("*_uncal.asdf",),
    combines=lambda association, exposures: pipeline_for(association) == MOSAIC,
    job_for=job_for,
    facts=facts,
    associate="flows.romancal.associations:associate",
    help=Help(
        flow="Calibrate Roman exposures, and combine what associations name.",
        description="""\
Calibrate Roman exposures with the real romancal pipelines, every step a Prefect task.

Without FILE, the command calibrates the embedded sample, from raw exposures to a mosaic and
its source catalogue, and compares the products with the simulated truth.""",
        files="_uncal.asdf or association .json, a pattern, or a folder of these",
        context="roman_0042.pmap",
        parameters=("--on_disk=true", "--steps.source_catalog.snr_threshold=5"),
    ),
)
