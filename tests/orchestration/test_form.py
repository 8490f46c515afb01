"""The form: what Prefect's server and UI know of a pipeline's parameters."""

import jsonschema
import pytest
from lantern.pipelines import CalibratePipeline
from prefect.utilities.callables import parameter_schema

from stpipe_prefect import as_flow
from stpipe_prefect.registry import find_step, registered_steps

pytestmark = pytest.mark.filterwarnings("default::Warning")  # jwst's own

JWST_PIPELINES = [
    step.class_path for step in registered_steps() if step.is_pipeline and step.package == "jwst"
]


def schema_of(flow):
    return parameter_schema(flow).model_dump_for_openapi()


def step_of(schema, name):
    return schema["properties"]["steps"]["properties"][name]


def test_own_parameters_come_first_then_one_group_for_each_step():
    schema = schema_of(as_flow(CalibratePipeline))
    assert list(schema["properties"])[:3] == ["input", "output_dir", "crds_context"]
    assert list(schema["properties"])[-1] == "steps"
    assert schema["required"] == ["input"]
    assert list(schema["properties"]["steps"]["properties"]) == ["dark", "flat", "clip"]


def test_types_choices_and_ranges():
    schema = schema_of(as_flow(CalibratePipeline))
    clip, dark = step_of(schema, "clip")["properties"], step_of(schema, "dark")["properties"]
    assert clip["high"]["type"] == "number"
    assert clip["method"]["enum"] == ["clip", "zero"]
    assert clip["keep"] == {
        "title": "keep",
        "description": "Indices of pixels to leave alone",
        "type": "array",
        "items": {"type": "integer"},
    }
    assert dark["scale"]["minimum"] == 0
    assert dark["skip"]["enum"] == [True, False]


def test_code_default_is_mentioned_but_not_filled_in():
    schema = schema_of(as_flow(CalibratePipeline))
    low = step_of(schema, "clip")["properties"]["low"]
    assert low["description"] == "No pixel below [1.0]"
    assert "default" not in low
    assert all(field.get("default") in (None, {}) for field in schema["properties"].values())


def test_frozen_values_are_filled_in():
    flow = as_flow(CalibratePipeline, config={"suffix": "x", "steps": {"clip": {"low": 3}}})
    schema = schema_of(flow)
    assert step_of(schema, "clip")["properties"]["low"]["default"] == 3
    assert "default" not in step_of(schema, "clip")["properties"]["high"]
    assert schema["properties"]["suffix"]["default"] == "x"


def test_what_becomes_code_or_file_access_has_no_field(monkeypatch):
    def names(schema):
        return {*schema["properties"], *step_of(schema, "dark")["properties"]}

    hidden = {"pre_hooks", "post_hooks", "override_dark", "config_file"}
    assert names(schema_of(as_flow(CalibratePipeline))) & (hidden | {"class", "name"}) == set()
    for switch in ("HOOKS", "OVERRIDES", "CONFIG_FILES"):
        monkeypatch.setenv(f"STPIPE_PREFECT_ALLOW_{switch}", "true")
    assert names(schema_of(as_flow(CalibratePipeline))) >= hidden


@pytest.mark.parametrize("path", JWST_PIPELINES)
def test_every_pipeline_of_jwst_makes_a_valid_form(path):
    pipeline = find_step(path)
    schema = schema_of(as_flow(pipeline))
    jsonschema.Draft202012Validator.check_schema(schema)
    assert set(schema["properties"]["steps"]["properties"]) == set(pipeline.step_defs)
    jsonschema.validate({"input": "x", "steps": {}}, schema)


def test_single_step_has_a_form():
    schema = schema_of(as_flow("jwst::jump"))
    assert schema["properties"]["rejection_threshold"]["anyOf"][0] == {
        "type": "number",
        "minimum": 0.0,
    }
    assert "steps" not in schema["properties"]
