"""Parameter values against the specification of a Step."""

import pytest
from jwst.jump import JumpStep
from jwst.pipeline import Detector1Pipeline

from stpipe_prefect.exceptions import ParameterError
from stpipe_prefect.parameters.validation import check_parameters


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"rejection_threshold": 5},
        {"rejection_threshold": "5.0"},
        {"flag_4_neighbors": "false", "maximum_cores": "half", "skip": True},
        {"pre_hooks": ["a.b", "c.d"]},
        {"output_file": "elsewhere.fits"},
        {"after_jump_flag_time1": None},
    ],
)
def test_good_values_pass(given):
    check_parameters(JumpStep, given)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (
            {"rejection_threshold": "five"},
            "jump: rejection_threshold = 'five' is not allowed: expected float(default=4.0,min=0)",
        ),
        (
            {"rejection_threshold": -1},
            "jump: rejection_threshold = -1 is not allowed: expected float(default=4.0,min=0)",
        ),
        ({"output_file": 5}, "jump: output_file = 5 is not allowed: expected output_file"),
        (
            {"rejektion_threshold": 5},
            "jump: there is no parameter 'rejektion_threshold' "
            "(did you mean 'rejection_threshold'?)",
        ),
    ],
)
def test_problem_is_one_line_that_names_the_parameter_and_what_was_expected(given, problem):
    with pytest.raises(ParameterError) as caught:
        check_parameters(JumpStep, given)
    assert str(caught.value).startswith(problem)
    assert "\n" not in str(caught.value)


def test_all_problems_of_a_pipeline_are_named_at_once():
    given = {
        "save_calibrated_ramp": "perhaps",
        "steps": {
            "jump": {"rejection_threshold": "five", "skip": "true"},
            "jmp": {"skip": True},
            "dq_init": "off",
        },
    }
    with pytest.raises(ParameterError) as caught:
        check_parameters(Detector1Pipeline, given)
    ramp, threshold, step, section = str(caught.value).splitlines()
    assert "save_calibrated_ramp = 'perhaps' is not allowed" in ramp
    assert "steps.jump.rejection_threshold = 'five' is not allowed" in threshold
    assert "there is no step 'steps.jmp' (did you mean 'jump'?)" in step
    assert "steps.dq_init is a section" in section
