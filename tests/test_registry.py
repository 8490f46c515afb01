"""Finding Steps by their names."""

import sys

import pytest
from lantern.steps import ClipStep

from stpipe_prefect.exceptions import UnknownStepError
from stpipe_prefect.registry import find_step, import_object, registered_steps


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


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("x = 1\ny = x / 0\n", "ZeroDivisionError: division by zero at {file}, line 2"),
        ("import sys\n\nsys.exit('bye')\n", "SystemExit: bye at {file}, line 3"),
        ("import json\njson.loads('{')\n", "{file}, line 2"),
        ("class Step(:\n", "SyntaxError: invalid syntax at {file}, line 1"),
    ],
)
def test_module_with_a_fault_is_named_with_the_line(tmp_path, code, problem):
    file = tmp_path / "faulty.py"
    file.write_text(code)
    with pytest.raises(UnknownStepError) as raised:
        import_object("faulty.Step", tmp_path)
    assert str(raised.value).startswith("Cannot import 'faulty.Step': ")
    assert problem.format(file=file) in str(raised.value)


def test_beside_a_parameter_file(tmp_path):
    path = sys.path[:]
    for number in ("one", "two"):
        folder = tmp_path / number
        folder.mkdir()
        (folder / "besides.py").write_text(f"number = {number!r}\n")
        assert import_object("besides.number", folder) == number
    assert sys.path == path
    with pytest.raises(UnknownStepError, match=r"Cannot import 'besides_not\.number'"):
        import_object("besides_not.number", tmp_path)


def test_what_is_installed_wins_over_what_lies_beside(tmp_path):
    (tmp_path / "lantern.py").write_text("raise SystemExit('imported the wrong one')")
    (tmp_path / "colorsys.py").write_text("raise SystemExit('imported the wrong one')")
    assert find_step("lantern.steps.ClipStep", tmp_path) is ClipStep
    assert import_object("colorsys.rgb_to_hsv", tmp_path)


def test_a_module_beside_that_fails(tmp_path):
    (tmp_path / "failing_module.py").write_text("import no_such_thing_at_all")
    with pytest.raises(UnknownStepError, match="No module named 'no_such_thing_at_all'"):
        import_object("failing_module.x", tmp_path)
    assert "failing_module" not in sys.modules
