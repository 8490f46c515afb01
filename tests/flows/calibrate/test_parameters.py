"""Parameters given for a campaign, shared out among its pipelines."""

import pytest

from flows.calibrate.options import parser
from flows.calibrate.parameters import parameters_given, pipeline_of_file, share_parameters
from flows.calwebb.mission import JWST
from stpipe_prefect.exceptions import ParameterError, UsageError
from stpipe_prefect.registry import find_step

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


def given(*words):
    return parameters_given(BOTH, parser(JWST).parse(words)[1], find_step)


def test_command_line_of_a_mission():
    options, texts = parser(JWST).parse(
        ["one_uncal.fits", "--steps.jump.skip", "true", "--output_dir=x", "two_uncal.fits", "-v"]
    )
    assert options.files == ["one_uncal.fits", "two_uncal.fits"]
    assert (options.output_dir, options.verbose) == ("x", True)
    assert texts == {"steps.jump.skip": "true"}


def test_names_are_completed_as_argparse_does():
    assert given("--save_cal=true", "--steps.jump.rej=5", "--steps.resample.pixfrac", "0.5") == {
        "save_calibrated_ramp": "true",
        "steps": {"jump": {"rejection_threshold": "5"}, "resample": {"pixfrac": "0.5"}},
    }
    with pytest.raises(UsageError, match=r"--steps\.jump\.sk?\S* could match"):
        given("--steps.jump.s=true")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("steps.resample.output_shape", "512,512"),
        ("steps.resample.crval", "80.5,-69.5"),
        ("steps.bkg_subtract.bkg_list", "a.fits,b.fits"),
        ("steps.flat_field.post_hooks", "mine.look,"),
        ("steps.resample.pixel_scale", "None"),
    ],
)
def test_lists_and_none_are_taken(name, text):
    *_, parameter = name.split(".")
    shares = share_parameters(BOTH, given(f"--{name}={text}"))
    step = shares[BOTH[1]]["steps"][name.split(".")[1]]
    assert step == {parameter: text}  # as typed: the run reads it


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
        ('class = "jwst.pipeline.Image2Pipeline"\nconfig_file = b.cfg', "config_file: only a step"),
        ("[[", "not a readable parameter file"),
    ],
)
def test_other_parameter_files_are_refused(file, text, problem):
    path = file(text)
    with pytest.raises(UsageError) as caught:
        pipeline_of_file(BOTH, path)
    assert str(caught.value).startswith(f"{path}: {problem}")
    assert caught.value.exit_code == 2
