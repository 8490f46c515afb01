"""Whatever stands in a spec, in a parameter file or in a call: a value, or one line why not."""

import math
import string
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lantern.pipelines import CalibratePipeline
from lantern.steps import ClipStep, LanternStep

from stpipe_prefect.exceptions import ParameterError
from stpipe_prefect.parameters.files import load_config_file

# Threads that Prefect keeps after an earlier test use it, and hypothesis takes that for ours.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")

fuzz = settings(
    derandomize=True,
    deadline=None,
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers().map(lambda power: 10 ** min(abs(power), 5000))
    | st.floats()
    | st.complex_numbers()
    | st.text(max_size=30)
    | st.binary(max_size=10)
    | st.sampled_from(["%(x)s", "a,b", "'", '"""', "None", "nan", "{0}", "$HOME", "\0", "../x"])
)
values = (
    scalars
    | st.lists(scalars, max_size=3)
    | st.dictionaries(st.text(max_size=5), scalars, max_size=2)
)
names = st.sampled_from(sorted(ClipStep.load_spec_file())) | st.text(
    string.printable, max_size=8
).filter(lambda name: name not in ("name", "parent", "self"))


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def _refused_in_one_line_each(error, *steps):
    lines = str(error).split("\n")
    assert lines
    for line in lines:
        assert line.startswith(tuple(f"{step}: " for step in steps)), line
        assert len(line) < 1000


@fuzz
@given(st.dictionaries(names, values, max_size=4))
def test_values_given_to_a_step(parameters):
    try:
        config, _ = ClipStep.build_config(None, **parameters)
        step = ClipStep.from_config_section(config, name="clip")
    except ParameterError as error:
        if "parameter file" not in str(error):
            _refused_in_one_line_each(error, "clip")
        return
    assert step.high is None or isinstance(step.high, float)
    assert step.method in ("clip", "zero", None)
    assert all(isinstance(index, int) for index in step.keep or ())
    step.get_pars()


@fuzz
@given(st.dictionaries(names | st.just("steps"), values, max_size=3), names, values)
def test_values_given_to_a_step_of_a_pipeline(parameters, name, value):
    try:
        pipeline = CalibratePipeline("night", **{"steps": {"clip": {name: value}}} | parameters)
    except ParameterError as error:
        _refused_in_one_line_each(error, "night", "clip")  # a hook is the step's own affair
    else:
        pipeline.get_pars()


checks = st.sampled_from(
    [
        "float",
        "integer",
        "boolean",
        "string",
        "list",
        "int_list",
        "option",
        "string_list",
        "force_list",
        "input_file",
        "is_datamodel",
        "tuple",
        "odd",
    ]
)
arguments = st.lists(
    st.sampled_from(
        [
            "1",
            "5",
            "min=0",
            "max=3",
            "default=None",
            "default=2",
            "default=list()",
            "'a', 'b'",
            "default='a'",
            "huh=1",
        ]
    ),
    max_size=3,
).map(", ".join)
spec_lines = st.builds("{} = {}({})".format, st.sampled_from("abc"), checks, arguments) | st.text(
    string.printable, max_size=20
)


@fuzz
@given(
    st.lists(spec_lines, max_size=3), st.dictionaries(st.sampled_from("abc"), values, max_size=3)
)
def test_specs(lines, parameters):
    step_class = type("OddStep", (LanternStep,), {"spec": "\n".join(lines)})
    try:
        step_class("odd", **parameters)
    except ParameterError as error:
        text = str(error)
        assert text.startswith("OddStep: its spec cannot be read") or text.startswith("odd: "), text


@fuzz
@given(st.binary(max_size=60) | st.text(string.printable, max_size=60).map(str.encode))
@pytest.mark.filterwarnings("ignore")
def test_files(content):
    for start in (b"", b"#ASDF 1.0.0\n%YAML 1.1\n--- "):
        Path("pars.any").write_bytes(start + content)
        try:
            config = load_config_file("pars.any")
            ClipStep.from_config_section(config, name="clip", config_file="pars.any")
        except ParameterError as error:
            for line in str(error).split("\n"):
                assert line.startswith("clip: ") or "pars.any" in line


@fuzz
@given(st.floats(), st.lists(st.integers(-(2**52), 2**52), max_size=3))
def test_values_survive_a_file(high, keep):
    ClipStep(high=high, keep=keep).export_config("pars.asdf")
    step = ClipStep.from_config_file("pars.asdf")
    assert step.high == high or (math.isnan(step.high) and math.isnan(high))
    assert step.keep == keep
