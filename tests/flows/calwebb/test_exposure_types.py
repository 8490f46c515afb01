"""The pipelines of every exposure type."""

import pytest
from stdatamodels.jwst.datamodels import JwstDataModel

from flows.calwebb.exposure_types import PIPELINES, pipelines_for, stage_2_suffix
from stpipe_prefect.registry import find_step

WITHOUT_PIPELINE = {"NRC_WFSC", "ANY", "N/A"}


def known_to_jwst():
    schemas = [JwstDataModel().schema]
    for name in ("meta", "exposure", "type"):
        parts = [part for schema in schemas for part in (schema, *schema.get("allOf", []))]
        schemas = [part["properties"][name] for part in parts if name in part.get("properties", {})]
    return schemas[0]["enum"]


@pytest.mark.parametrize("exp_type", sorted(set(known_to_jwst()) - WITHOUT_PIPELINE))
def test_every_type_that_jwst_knows_has_a_pipeline(exp_type):
    stages = pipelines_for(exp_type)
    assert {name for name in stages if name} <= set(PIPELINES)


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_every_pipeline_is_jwst_own(pipeline):
    found = find_step(pipeline)
    assert found.class_alias == pipeline
    assert found.__module__.startswith("jwst.")


@pytest.mark.parametrize(
    ("exp_type", "stages"),
    [
        ("NRC_IMAGE", ("detector1", "image2", "image3")),
        ("MIR_LRS-FIXEDSLIT", ("detector1", "spec2", "spec3")),
        ("NIS_SOSS", ("detector1", "spec2", "spec3")),
        ("NRC_TSGRISM", ("detector1", "spec2", "tso3")),
        ("NRC_CORON", ("detector1", "image2", "coron3")),
        ("NIS_AMI", ("detector1", "image2", "ami3")),
        ("NRC_TACQ", ("detector1", "image2", None)),
        ("NRS_LAMP", ("detector1", "spec2", None)),
        ("NRC_LED", ("detector1", None, None)),
        ("NRC_DARK", ("dark", None, None)),
        ("FGS_ACQ1", ("guider", None, None)),
        ("nrc_image", ("detector1", "image2", "image3")),
    ],
)
def test_stages(exp_type, stages):
    assert pipelines_for(exp_type) == tuple(name and f"calwebb_{name}" for name in stages)


@pytest.mark.parametrize("exp_type", ["NIS_SOSS", "MIR_LRS-SLITLESS", "MIR_IMAGE"])
def test_time_series_are_combined_as_such(exp_type):
    stages = pipelines_for(exp_type, time_series=True)
    assert stages.third == "calwebb_tso3"
    assert stage_2_suffix(stages) == "rateints"
    assert stage_2_suffix(pipelines_for(exp_type)) == "rate"


def test_time_series_flag_adds_no_stage():
    assert pipelines_for("NRC_TACQ", time_series=True).third is None


def test_type_without_pipeline():
    assert pipelines_for("HST_IMAGE") is None
