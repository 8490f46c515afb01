"""Finding Steps by their names."""

import pytest

from stpipe_prefect.exceptions import UnknownStepError
from stpipe_prefect.registry import find_step, registered_steps


@pytest.mark.parametrize("name", ["jump", "jwst::jump", "jwst.jump.JumpStep"])
def test_step_is_found_by_each_of_its_names(name):
    from jwst.jump import JumpStep

    assert find_step(name) is JumpStep
    assert find_step(JumpStep) is JumpStep


def test_pipelines_of_jwst_are_registered():
    from importlib.metadata import version

    pipelines = {step.alias: step for step in registered_steps() if step.is_pipeline}
    detector1 = pipelines["calwebb_detector1"]
    assert detector1.class_path == "jwst.pipeline.Detector1Pipeline"
    assert (detector1.package, detector1.version) == ("jwst", version("jwst"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "calwebb_detector",
            r"is called 'calwebb_detector' \(did you mean 'calwebb_detector1'\?\)",
        ),
        ("roman::jump", "No step or pipeline is called 'roman::jump'"),
        ("no.such.Step", "Cannot import 'no.such.Step': No module named 'no'"),
        ("jwst.jump.JumpStp", "'jwst.jump' has no class 'JumpStp'"),
        ("pathlib.Path", "'pathlib.Path' is not a Step: it has no spec, run, process"),
        ("os.path.join", "'os.path.join' is not a Step"),
        ("", "No step or pipeline is called ''"),
        (".", "Cannot import '.'"),
        (dict, "'dict' is not a Step"),
    ],
)
def test_other_names_are_refused_in_one_line(name, message):
    with pytest.raises(UnknownStepError, match=message) as caught:
        find_step(name)
    assert "\n" not in str(caught.value)
