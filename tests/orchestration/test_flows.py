"""What the server knows of a real pipeline that ran as a flow."""

import hashlib
import json

import pytest

from stpipe_prefect import as_flow
from stpipe_prefect.exceptions import InputError, ParameterError

pytestmark = pytest.mark.filterwarnings("default::Warning")  # jwst's and Prefect's own


def inputs_of(run, tasks, name):
    """Names of the task runs from which arrows lead to a task run."""
    by_id = {str(task.id): task.name for task in tasks.values()}
    return {
        by_id.get(str(source.id), "?")
        for sources in tasks[name].task_inputs.values()
        for source in sources
        if source.input_type == "task_run"
    }


def test_products_are_whole_and_nothing_else_is_left(detector1_run, small):
    name = small.program.exposures[0].name.removesuffix("_uncal.fits")
    made = sorted(path.name for path in detector1_run.products.iterdir())
    products = [f"{name}_rate.fits", f"{name}_rateints.fits"]
    beside = [
        f"{name}_uncal.calwebb_detector1.{kind}"
        for kind in ("log", "provenance.json", "quicklook.json")
    ]
    assert made == sorted([*products, *beside])
    returned = detector1_run.state.result()
    assert returned == [str(detector1_run.products / file) for file in products]


def test_every_step_that_the_pipeline_runs_is_a_task(detector1_run):
    tasks = detector1_run.tasks()
    assert {"group_scale", "dq_init", "saturation", "jump", "ramp_fit", "gain_scale"} <= set(tasks)
    assert "emicorr" not in tasks  # for MIRI only: the pipeline never gets to it


def test_states_say_what_became_of_each_step(detector1_run):
    tasks = detector1_run.tasks()
    assert tasks["jump"].state_name == "Completed"
    assert tasks["charge_migration"].state_name == "Skipped"  # by its parameter
    assert tasks["group_scale"].state_name == "Skipped"  # by its own judgement of the data


def test_each_step_is_downstream_of_its_own_prefetch_and_of_its_data(detector1_run):
    tasks = detector1_run.tasks()
    assert inputs_of(detector1_run, tasks, "dq_init") == {"group_scale", "prefetch dq_init"}
    assert inputs_of(detector1_run, tasks, "saturation") == {"dq_init", "prefetch saturation"}
    assert inputs_of(detector1_run, tasks, "charge_migration") == {"dark_current"}
    assert inputs_of(detector1_run, tasks, "prefetch jump") == set()


def test_prefetches_are_submitted_before_the_first_step(detector1_run):
    tasks = detector1_run.tasks()
    prefetches = [task for name, task in tasks.items() if name.startswith("prefetch ")]
    assert len(prefetches) == 9  # none where no reference applies
    first_step = tasks["group_scale"].start_time
    assert all(task.expected_start_time <= first_step for task in prefetches)


def test_skipped_steps_prefetch_nothing(detector1_run):
    assert "prefetch persistence" not in detector1_run.tasks()


def test_log_lines_are_in_the_task_run_they_belong_to(detector1_run):
    tasks = detector1_run.tasks()
    logs = detector1_run.get(
        "/logs/filter", {"logs": {"task_run_id": {"any_": [str(tasks["jump"].id)]}}}
    )
    messages = [log["message"] for log in logs]
    assert any("CR rejection threshold = 7" in message for message in messages)
    assert any(log["name"].startswith("stcal.") for log in logs)
    assert not any("dq_init" in message for message in messages)


def test_no_log_line_is_there_twice(detector1_run):
    logs = detector1_run.get(
        "/logs/filter",
        {"logs": {"flow_run_id": {"any_": [str(detector1_run.id)]}}, "limit": 200},
    )
    starts = [log for log in logs if log["message"].startswith("Step jump running")]
    assert len(starts) == 1


def test_resolved_parameters_are_an_artifact(detector1_run):
    (artifact,) = detector1_run.get(
        "/artifacts/filter",
        {
            "artifacts": {
                "flow_run_id": {"any_": [str(detector1_run.id)]},
                "key": {"any_": ["parameters"]},
            }
        },
    )
    table = json.loads(artifact["data"])
    rows = {
        (row.pop("step"), row.pop("parameter")): tuple(row.values()) for row in map(dict, table)
    }
    assert rows["jump", "rejection_threshold"] == (
        "7.0",
        "flow run",
        "5.0 (CRDS step file jwst_nircam_pars-jumpstep_0001.asdf), 4.0 (step code)",
    )
    assert ("ramp_fit", "algorithm") not in rows  # as the code has it
    assert f"not left to the code: {len(table)} of " in artifact["description"]


def test_references_and_products_are_artifacts(detector1_run, crds_path):
    artifacts = detector1_run.get(
        "/artifacts/filter",
        {"artifacts": {"flow_run_id": {"any_": [str(detector1_run.id)]}}},
    )
    tables = {
        artifact["key"]: json.loads(artifact["data"])
        for artifact in artifacts
        if artifact["type"] == "table"
    }
    rows = {(row["step"], row["type"]): row for row in tables["references"]}
    gain = crds_path / "references/jwst/nircam/jwst_nircam_gain_0001.fits"
    assert rows["jump", "gain"] == {
        "step": "jump",
        "type": "gain",
        "file": gain.name,
        "sha1": hashlib.sha1(gain.read_bytes()).hexdigest(),
        "bytes": str(gain.stat().st_size),
        "from": "cached",
    }
    assert rows["refpix", "sirskernel"]["file"] == "N/A"
    assert len(tables["products"]) == 2


def test_flow_run_is_named_after_pipeline_and_exposure(detector1_run, small):
    run = detector1_run.get(
        "/flow_runs/filter", {"flow_runs": {"id": {"any_": [str(detector1_run.id)]}}}
    )[0]
    assert run["name"] == f"calwebb_detector1 · {small.program.exposures[0].name}"
    assert "Handle" not in json.dumps(run["parameters"])


def test_unknown_parameter_stops_the_flow_before_the_first_step(run_flow, small):
    run = run_flow(
        "calwebb_detector1",
        small.program.exposures[0],
        steps={"jump": {"rejection_treshold": 5.0}},
    )
    assert run.state.is_failed()
    with pytest.raises(ParameterError, match=r"did you mean 'rejection_threshold'"):
        run.state.result()
    assert run.tasks() == {}


def test_failing_run_leaves_no_product(run_flow, tmp_path):
    broken = tmp_path / "jw01234001001_02101_00001_nrcb1_uncal.fits"
    broken.write_bytes(b"SIMPLE  =                    T")
    run = run_flow("calwebb_detector1", broken)
    with pytest.raises(InputError, match=broken.name):
        run.state.result()
    assert list(run.products.iterdir()) == []


def test_environment_and_loggers_are_as_before(detector1_run, monkeypatch):
    import logging
    import os

    assert "CRDS_CONTEXT" not in os.environ
    assert logging.getLogger("jwst").handlers == []


def test_open_model_is_taken_in_place_of_its_file(run_flow, small):
    from stdatamodels.jwst.datamodels import RampModel

    with RampModel(small.program.exposures[0]) as model:
        run = run_flow("jwst::dq_init", model)
    assert run.state.is_completed(), run.state.message
    assert [path.name[-15:] for path in run.products.glob("*.fits")] == ["dqinitstep.fits"]
    stored = run.get("/flow_runs/filter", {"flow_runs": {"id": {"any_": [str(run.id)]}}})[0]
    assert stored["parameters"]["input"] == "<Handle>"


def test_open_model_is_taken_in_place_of_a_reference_file(run_flow, small, crds_path):
    from astropy.io import fits
    from stdatamodels.jwst.datamodels import MaskModel

    with MaskModel(crds_path / "references/jwst/nircam/jwst_nircam_mask_0001.fits") as mask:
        mask.dq[30, 30] = 1
        run = run_flow("jwst::dq_init", input=small.program.exposures[0], override_mask=mask)
    assert run.state.is_completed(), run.state.message
    (product,) = run.products.glob("*.fits")
    assert fits.getval(product, "R_MASK") == "override://MaskModel"
    assert fits.getdata(product, "PIXELDQ")[30, 30]


def test_save_results_can_be_refused(run_flow, small):
    run = run_flow("jwst::dq_init", small.program.exposures[0], save_results="False")
    assert run.state.is_completed(), run.state.message
    assert list(run.products.glob("*.fits")) == []


def test_flow_of_an_alias_a_path_and_a_class_is_the_same():
    from jwst.pipeline import Detector1Pipeline

    names = {
        as_flow(name).name
        for name in (
            "calwebb_detector1",
            "jwst::calwebb_detector1",
            "jwst.pipeline.Detector1Pipeline",
            Detector1Pipeline,
        )
    }
    assert names == {"calwebb_detector1"}
