"""Reading parameter files of both forms."""

import pytest
from jwst import pipeline
from jwst.jump import JumpStep

from stpipe_prefect.exceptions import ParameterError
from stpipe_prefect.parameters.files import StepParameters, read_parameter_file, save_config_file
from stpipe_prefect.parameters.validation import check_parameters

CFG = """
name = "my jump"
class = "jwst.pipeline.Detector1Pipeline"
save_calibrated_ramp = true
[steps]
  [[jump]]
    rejection_threshold = 7.5
"""


@pytest.mark.parametrize("name", pipeline.__all__)
def test_what_a_pipeline_exports_is_read_and_allowed(name, tmp_path):
    pipeline_class = getattr(pipeline, name)
    pipeline_class().export_config(tmp_path / "all.asdf")
    file = read_parameter_file(tmp_path / "all.asdf")
    assert file.class_path.endswith(name)
    assert set(file.parameters["steps"]) == set(pipeline_class.step_defs)
    check_parameters(pipeline_class, file.parameters)


def test_both_forms_say_the_same(tmp_path):
    (tmp_path / "some.cfg").write_text(CFG)
    step = pipeline.Detector1Pipeline(
        steps={"jump": {"rejection_threshold": 7.5}}, save_calibrated_ramp=True
    )
    step.export_config(tmp_path / "all.asdf")
    some = read_parameter_file(tmp_path / "some.cfg")
    every = read_parameter_file(tmp_path / "all.asdf")
    assert some.class_path == "jwst.pipeline.Detector1Pipeline"
    assert some.parameters == {
        "save_calibrated_ramp": "true",
        "steps": {"jump": {"rejection_threshold": "7.5"}},
    }
    assert every.parameters["save_calibrated_ramp"] is True
    assert every.parameters["steps"]["jump"]["rejection_threshold"] == 7.5


def test_file_of_a_single_step(tmp_path):
    JumpStep(rejection_threshold=3.0).export_config(tmp_path / "jump.asdf")
    file = read_parameter_file(tmp_path / "jump.asdf")
    assert file.class_path == "jwst.jump.jump_step.JumpStep"
    assert file.parameters["rejection_threshold"] == 3.0
    assert "steps" not in file.parameters


@pytest.mark.parametrize("name", ["a#b.asdf", "a?b.asdf", "a%41.asdf", "a\nb.asdf"])
def test_a_path_is_no_uri(tmp_path, name):
    saved = StepParameters("lantern.steps.ClipStep", "clip", {"high": 3.0})
    save_config_file(saved, tmp_path / name, for_crds=False)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert read_parameter_file(tmp_path / name).parameters == {"high": 3.0}


@pytest.mark.parametrize(
    ("name", "contents", "problem"),
    [
        ("absent.cfg", None, "no such parameter file"),
        ("bad.cfg", b"[[", "not a readable parameter file: Invalid line"),
        ("bad.asdf", b"[[", "not a readable parameter file"),
        ("empty.asdf", b"", "not a readable parameter file"),
        ("random.cfg", bytes(range(256)), "not a readable parameter file"),
        ("other.asdf", b"#ASDF 1.0.0\n#ASDF_STANDARD 1.6.0\n%YAML 1.1\n--- {}\n...\n", "readable"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, name, contents, problem):
    path = tmp_path / name
    if contents is not None:
        path.write_bytes(contents)
    with pytest.raises(ParameterError, match=problem) as caught:
        read_parameter_file(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
