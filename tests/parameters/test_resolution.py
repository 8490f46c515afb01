"""Every layer wins once and loses once, for the miniature mission's classes and for jwst's."""

import pytest
from lantern.pipelines import CalibratePipeline, NightPipeline
from lantern.steps import ClipStep

from stpipe_prefect.cli.explain import explain_options, resolve_command
from stpipe_prefect.cli.run import read_command
from stpipe_prefect.parameters.layers import without_crds_parameters

pytestmark = pytest.mark.filterwarnings("default::Warning")  # jwst's own

JUMP = "rejection_threshold"


def explained(*argv):
    command = read_command(list(argv), explain_options())
    with without_crds_parameters(command.args.disable_crds_steppars):
        parameters = resolve_command(command)
    return {(each.step, each.name): each for each in parameters}


def stack(parameter):
    """Sources and values, the winner first."""
    return [(str(setting.source), setting.value) for setting in reversed(parameter.settings)]


PIPELINE_FILE = "CRDS pipeline file jwst_nircam_pars-calibratepipeline_0001.asdf"
STEP_FILE = "CRDS step file jwst_nircam_pars-clipstep_0001.asdf"


def test_code_and_crds(mission):
    found = explained("lantern.pipelines.CalibratePipeline", "one_raw.row")
    assert stack(found["clip", "low"]) == [("pipeline code", 1.0), ("step code", 0.0)]
    assert stack(found["clip", "method"]) == [(STEP_FILE, "zero"), ("step code", "clip")]
    assert stack(found["clip", "high"]) == [
        (PIPELINE_FILE, 30.0),
        (STEP_FILE, 40.0),
        ("step code", 100.0),
    ]
    assert stack(found["dark", "scale"]) == [("step code", 1.0)]
    assert stack(found["", "suffix"])[0] == ("pipeline code", "cal")
    assert not found["clip", "low"].source.file


def test_files_and_command_line(mission):
    (mission / "clip.cfg").write_text("high = 3\nlow = 2\nkeep = 1,\n")
    (mission / "user.cfg").write_text(
        "class = lantern.pipelines.CalibratePipeline\n"
        "[steps]\n[[clip]]\nconfig_file = clip.cfg\nlow = 1.5\nmethod = clip\n"
    )
    found = explained("user.cfg", "one_raw.row", "--steps.clip.method=zero")
    assert stack(found["clip", "high"])[:2] == [("config_file clip.cfg", 3.0), (PIPELINE_FILE, 30)]
    assert stack(found["clip", "low"])[:3] == [
        ("parameter file user.cfg", 1.5),
        ("config_file clip.cfg", 2.0),
        ("pipeline code", 1.0),
    ]
    assert stack(found["clip", "method"])[:3] == [
        ("command line", "zero"),
        ("parameter file user.cfg", "clip"),
        (STEP_FILE, "zero"),
    ]
    assert stack(found["clip", "keep"])[0] == ("config_file clip.cfg", [1])


def test_pipelines_of_pipelines(mission):
    (mission / "n.night").write_text("one_raw.row\n")
    found = explained("lantern.pipelines.NightPipeline", "n.night")
    assert stack(found["calibrate.clip", "high"])[0] == (PIPELINE_FILE, 30.0)
    assert stack(found["clip", "high"])[0] == (STEP_FILE, 40.0)
    assert stack(found["calibrate.clip", "low"])[0] == ("pipeline code", 1.0)
    assert {step for step, _ in found} == {
        "",
        "clip",
        "calibrate",
        "calibrate.dark",
        "calibrate.flat",
        "calibrate.clip",
    }


def test_without_crds(mission):
    found = explained("lantern.steps.ClipStep", "one_raw.row", "--disable-crds-steppars")
    assert stack(found["", "high"]) == [("step code", 100.0)]
    assert not found["", "high"].is_changed


def test_values_are_those_that_would_run(mission):
    for step_class, data in ((CalibratePipeline, "one_raw.row"), (ClipStep, "one_raw.row")):
        path = f"{step_class.__module__}.{step_class.__name__}"
        found = explained(path, data)
        config, _ = step_class.build_config(data)
        step = step_class.from_config_section(config)
        assert found["", "output_ext"].value == step.output_ext
        for (name, parameter), each in found.items():
            if parameter == "high":
                assert each.value == (getattr(step, name) if name else step).high


@pytest.mark.parametrize(("context", "threshold"), [("0001", 5.0), ("0002", 6.0)])
def test_jwst_under_two_contexts(small, monkeypatch, context, threshold):
    monkeypatch.setenv("CRDS_PATH", str(small.crds_path))
    monkeypatch.setenv("CRDS_CONTEXT", f"jwst_{context}.pmap")
    from crds.core import utils

    utils.clear_function_caches()
    found = explained("calwebb_detector1", str(small.program.exposures[0]))
    assert stack(found["jump", JUMP]) == [
        (f"CRDS step file jwst_nircam_pars-jumpstep_{context}.asdf", threshold),
        ("step code", 4.0),
    ]
    one_group = stack(found["ramp_fit", "suppress_one_group"])
    assert one_group[0][0].startswith("CRDS pipeline file jwst_nircam_pars-detector1pipeline_")
    assert stack(found["", "save_calibrated_ramp"]) == [("pipeline code", False)]
    utils.clear_function_caches()


def test_every_layer_of_jwst(small, monkeypatch, tmp_path):
    monkeypatch.setenv("CRDS_PATH", str(small.crds_path))
    monkeypatch.chdir(tmp_path)
    exposure = str(small.program.exposures[0])
    (tmp_path / "user.cfg").write_text(
        "class = jwst.pipeline.Detector1Pipeline\nsave_calibrated_ramp = true\n"
        "[steps]\n[[jump]]\nrejection_threshold = 7\nflag_4_neighbors = false\n"
        "[[ramp_fit]]\nsuppress_one_group = true\n"
    )
    (tmp_path / "jump.cfg").write_text("rejection_threshold = 8\nmaximum_cores = half\n")
    user = "parameter file user.cfg"
    found = explained("user.cfg", exposure)
    assert [source for source, _ in stack(found["jump", JUMP])] == [
        user,
        "CRDS step file jwst_nircam_pars-jumpstep_0001.asdf",
        "step code",
    ]
    assert stack(found["", "save_calibrated_ramp"]) == [(user, True), ("pipeline code", False)]
    assert stack(found["ramp_fit", "suppress_one_group"])[0] == (user, True)
    # jwst has a file named on the command line win over the user's file.
    named = ("user.cfg", exposure, "--steps.jump.config_file=jump.cfg")
    found = explained(*named)
    assert stack(found["jump", JUMP])[0] == ("config_file jump.cfg", 8.0)
    assert (user, 7.0) in stack(found["jump", JUMP])
    assert stack(found["jump", "maximum_cores"])[0] == ("config_file jump.cfg", "half")
    found = explained(*named, "--steps.jump.rejection_threshold=9")
    assert stack(found["jump", JUMP])[0] == ("command line", 9.0)
    assert ("config_file jump.cfg", 8.0) in stack(found["jump", JUMP])


def test_value_that_no_layer_gave_is_not_ascribed_to_one(mission):
    from stpipe_prefect.parameters.origins import code_layers
    from stpipe_prefect.parameters.resolution import resolve

    step = NightPipeline()
    step.clip.high = 12.0
    found = {(each.step, each.name): each for each in resolve(step, code_layers(NightPipeline))}
    assert stack(found["clip", "high"]) == [("merged by ClipStep", 12.0), ("step code", 100.0)]
