"""Words of a command line, as the specification of a step reads them."""

import pytest
from lantern.pipelines import CalibratePipeline
from lantern.steps import ClipStep

from stpipe_prefect.exceptions import UsageError
from stpipe_prefect.parameters.text import CommandParser, full_names, nested, read_parameters


@pytest.fixture
def parser():
    parser = CommandParser("calibrate")
    parser.add_argument("step", nargs="?")
    parser.add_argument("inputs", nargs="*")
    parser.add_argument("--log-level")
    parser.add_argument("--lenient", "-l", action="store_true")
    return parser


@pytest.mark.parametrize(
    "words",
    [
        ["clip", "one", "two", "--lenient", "--log-level=20", "--steps.a.low=-3", "--keep=1,2"],
        ["--steps.a.low", "-3", "clip", "-l", "one", "--log_level", "20", "two", "--keep", "1,2"],
        ["clip", "--keep=", "one", "--len", "--log-l=20", "two", "--keep=1,2", "--steps.a.low=-3"],
    ],
)
def test_options_of_the_command_and_parameters_of_steps_stand_in_any_order(parser, words):
    options, texts = parser.parse(words)
    assert vars(options) == {
        "step": "clip",
        "inputs": ["one", "two"],
        "log_level": "20",
        "lenient": True,
    }
    assert texts == {"steps.a.low": "-3", "keep": "1,2"}


def test_what_follows_two_dashes_is_an_input(parser):
    options, texts = parser.parse(["clip", "--", "--low=3"])
    assert options.inputs == ["--low=3"] and not texts


def test_parameter_of_the_step_may_have_the_name_of_an_option(parser):
    words = ["clip", "--step=a", "--inputs", "b", "--lenient=c"]
    options, texts = parser.parse(words)
    assert (options.step, options.inputs, options.lenient) == ("clip", [], False)
    assert texts == {"step": "a", "inputs": "b", "lenient": "c"}
    assert parser.parse(["clip", "--lenient", "c"], ["lenient"])[1] == {"lenient": "c"}
    with pytest.raises(UsageError, match="ambiguous option: --len could match --lenient, --length"):
        parser.parse(["clip", "--len", "3"], ["length"])


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["clip", "-x"], "unrecognized arguments: -x"),
        (["clip", "--low"], "argument --low: expected a value"),
        (["clip", "--low", "--high=3"], "argument --low: expected a value"),
        (["clip", "--lo", "3"], "ambiguous option"),
    ],
)
def test_wrong_usage(parser, words, problem):
    with pytest.raises(UsageError, match=problem):
        parser.parse(words, ["low"])


def test_abbreviations():
    known = ["skip", "skip_more", "steps.jump.skip", "steps.jump.after"]
    assert full_names(
        {"skip": "1", "skip_": "2", "steps.jump.a": "3", "steps.ju.a": "4"}, known
    ) == {
        "skip": "1",
        "skip_more": "2",
        "steps.jump.after": "3",
        "steps.ju.a": "4",
    }
    with pytest.raises(UsageError, match="--sk could match --skip, --skip_more"):
        full_names({"sk": "1"}, known)
    assert full_names({"steps.jump": "1"}, known) == {"steps.jump": "1"}


def test_section_has_no_value():
    with pytest.raises(
        UsageError, match=r"--steps\.jump\.skip: jump already has a value of its own"
    ):
        nested({"steps.jump": "x", "steps.jump.skip": "true"})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,2", ["1", "2"]),
        ("1,", ["1"]),
        ("1", ["1"]),
        ("", []),
        ("None", None),
        ("'a, b', c", ["a, b", "c"]),
    ],
)
def test_lists(text, value):
    assert read_parameters({"keep": text}, ClipStep.load_spec_file()) == {"keep": value}
    assert read_parameters({"post_h": text}, ClipStep.load_spec_file()) == {"post_hooks": value}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("high", "3", "3"),
        ("high", "None", None),
        ("suffix", "None", None),
        ("suffix", "'None'", "None"),
        ("suffix", "a, b", "a, b"),
        ("suffix", '"a, b"', "a, b"),
        ("suffix", "'a' and 'b'", "'a' and 'b'"),
    ],
)
def test_other_values(name, text, value):
    assert read_parameters({name: text}, ClipStep.load_spec_file()) == {name: value}


def test_paths_are_relative_to_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    texts = {"output_file": "a, b.row", "steps.clip.config_file": "clip.cfg", "output_dir": "."}
    assert read_parameters(texts, CalibratePipeline.load_spec_file()) == {
        "output_file": f"{tmp_path}/a, b.row",
        "steps": {"clip": {"config_file": f"{tmp_path}/clip.cfg"}},
        "output_dir": ".",
    }
