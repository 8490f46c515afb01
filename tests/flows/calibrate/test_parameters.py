"""Parameters given for a programme, shared out among its pipelines."""

import pytest

from flows.calibrate.options import read_parameters
from flows.calibrate.parameters import pipeline_of_file, share_parameters
from stpipe_prefect.exceptions import ParameterError, UsageError

BOTH = ["calwebb_detector1", "calwebb_image2"]


def test_each_pipeline_gets_its_own_and_what_all_have():
    given = {
        "save_results": "true",
        "steps": {
            "jump": {"rejection_threshold": "5"},
            "flat_field": {"skip": "true"},
            "gain_scale": {"skip": "false"},
        },
    }
    assert share_parameters(BOTH, given) == {
        "calwebb_detector1": {
            "save_results": "true",
            "steps": {"jump": {"rejection_threshold": "5"}, "gain_scale": {"skip": "false"}},
        },
        "calwebb_image2": {"save_results": "true", "steps": {"flat_field": {"skip": "true"}}},
    }


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (
            {"steps": {"jmp": {"skip": "true"}}},
            "calwebb_detector1, calwebb_image2: there is no parameter 'steps.jmp.skip' "
            "(did you mean 'steps.jump.skip'?)",
        ),
        (
            {"steps": {"jump": {"rejection_threshold": "high"}}},
            "calwebb_detector1: steps.jump.rejection_threshold = 'high' is not allowed: "
            "expected float(default=4.0,min=0)",
        ),
        ({"output_dir": "x"}, "output_dir is an option of its own: give it as --output-dir=DIR"),
    ],
)
def test_problem_is_one_line(given, problem):
    with pytest.raises(ParameterError) as caught:
        share_parameters(BOTH, given)
    assert str(caught.value) == problem


def test_all_problems_are_named_at_once():
    with pytest.raises(ParameterError) as caught:
        share_parameters(BOTH, {"skip": "perhaps", "skp": "true", "steps": "none"})
    assert len(str(caught.value).splitlines()) == 4  # skip: once for each pipeline


def test_options_of_the_command_line():
    assert read_parameters(["--skip=true", "--steps.jump.skip=", "--steps.jump.a=b=c"]) == {
        "skip": "true",
        "steps": {"jump": {"skip": "", "a": "b=c"}},
    }
    assert read_parameters([]) == {}


@pytest.mark.parametrize(
    "arguments",
    [
        ["skip=true"],
        ["--skip"],
        ["-v"],
        ["--steps.jump.skip", "true"],
        ["--steps.jump=x", "--steps.jump.skip=true"],
    ],
)
def test_anything_else_is_wrong_usage(arguments):
    with pytest.raises(UsageError):
        read_parameters(arguments)


@pytest.fixture
def file(tmp_path):
    def make(text):
        path = tmp_path / "some.cfg"
        path.write_text(text)
        return str(path)

    return make


def test_parameter_file_is_for_the_class_it_names(file):
    assert pipeline_of_file(BOTH, file('class = "jwst.pipeline.Image2Pipeline"')) == BOTH[1]


def test_parameter_file_that_names_none_is_for_the_only_pipeline(file):
    assert pipeline_of_file(BOTH[:1], file("save_calibrated_ramp = true")) == BOTH[0]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("skip = true", "names no class, and what runs is calwebb_detector1, calwebb_image2"),
        ('class = "jwst.pipeline.Image3Pipeline"', "is for jwst.pipeline.Image3Pipeline, and what"),
        ('class = "jwst.Image4Pipeline"', "'jwst' has no class 'Image4Pipeline'"),
        ('class = "jwst.pipeline.Image2Pipeline"\nskp = true', "calwebb_image2: there is no param"),
        ("[[", "not a readable parameter file"),
    ],
)
def test_other_parameter_files_are_refused(file, text, problem):
    path = file(text)
    with pytest.raises(UsageError) as caught:
        pipeline_of_file(BOTH, path)
    assert str(caught.value).startswith(f"{path}: {problem}")
    assert caught.value.exit_code == 2
