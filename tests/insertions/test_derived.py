"""A pipeline with inserted steps has the names of the pipeline, and the steps at their places."""

import sys
from types import ModuleType

import pytest
from lantern.pipelines import CalibratePipeline, NightPipeline
from lantern.steps import ClipStep, FlatStep, LanternStep

from stpipe_prefect import Step, after, before
from stpipe_prefect.exceptions import ParameterError, UnknownStepError, UsageError
from stpipe_prefect.insertions.derived import inserted_in, with_insertions
from stpipe_prefect.insertions.insertion import Insertion
from stpipe_prefect.parameters.origins import code_layers


class OneOverF(Step):
    """Written on this package alone, so that it has no file type of its own."""

    spec = "factor = float(default=1.0)  # How much"

    def process(self, data):
        return data


def brighten(row, by: float = 1, mode: str = "all", only: int | None = None, keep=True):
    """Add to all pixels."""
    row.data = [pixel + by for pixel in row.data]
    return row


def order(*insertions):
    return list(with_insertions(CalibratePipeline, insertions).step_defs)


def test_passes_for_the_pipeline():
    derived = with_insertions(CalibratePipeline, [after("dark", OneOverF)])
    for name in ("__name__", "__qualname__", "__module__", "__doc__", "class_alias"):
        assert getattr(derived, name) == getattr(CalibratePipeline, name)
    assert derived.get_config_reftype() == "pars-calibratepipeline"
    assert issubclass(derived, CalibratePipeline)
    assert "one_over_f" not in CalibratePipeline.step_defs
    assert with_insertions(CalibratePipeline, []) is CalibratePipeline


def test_steps_are_where_they_run():
    a, b = (after("dark", OneOverF, name=name) for name in "ab")
    assert order(a, b) == ["dark", "a", "b", "flat", "clip"]
    c, d = (before("flat", OneOverF, name=name) for name in "cd")
    assert order(c, a, d) == ["dark", "a", "c", "d", "flat", "clip"]
    at_another = before("a", OneOverF, name="e"), after("e", OneOverF, name="f")
    assert order(*at_another, a) == ["dark", "e", "f", "a", "flat", "clip"]


def test_parameters_of_a_step_of_either_kind():
    insertions = [after("dark", OneOverF), after("one_over_f", brighten, by=2)]
    derived = with_insertions(CalibratePipeline, insertions)
    spec = derived.load_spec_file()
    assert list(spec["steps"]) == ["dark", "one_over_f", "brighten", "flat", "clip"]
    assert spec["steps"]["one_over_f"]["output_ext"] == "string(default='.row')"
    declared = {name: spec["steps"]["brighten"][name] for name in ("by", "mode", "only", "keep")}
    assert declared == {
        "by": "float(default=1)",
        "mode": "string(default='all')",
        "only": "integer(default=None)",
        "keep": "boolean(default=True)",
    }
    values = {}
    for layer in code_layers(derived):
        values |= layer.values.get("steps", {}).get("brighten", {})
    assert values.items() >= {"by": 1.0, "mode": "all", "only": None, "keep": True}.items()
    pipeline = derived.from_config_section({"steps": {"brighten": {"by": "3"}}})
    assert isinstance(pipeline.brighten, LanternStep)
    assert (pipeline.brighten.by, pipeline.one_over_f.factor) == (3.0, 1.0)
    assert pipeline.get_pars()["steps"]["brighten"]["mode"] == "all"


@pytest.mark.parametrize(
    ("insertions", "error", "message"),
    [
        (
            [after("drak", OneOverF)],
            UnknownStepError,
            "lantern_calibrate has no step 'drak' to insert one_over_f after "
            "(did you mean 'dark'?)",
        ),
        (
            [after("dark", ClipStep)],
            UsageError,
            "two steps of lantern_calibrate would have the name 'clip': "
            "give lantern.steps.ClipStep another one with name=…",
        ),
        (
            [after("dark", OneOverF), before("clip", OneOverF)],
            UsageError,
            "two steps of lantern_calibrate would have the name 'one_over_f': ",
        ),
        (
            [after("b", OneOverF, name="a"), before("a", OneOverF, name="b")],
            UsageError,
            "steps are inserted in a circle: a after b, b before a: "
            "anchor one of them at a step of lantern_calibrate",
        ),
        (
            [after("dark", OneOverF, name="suffix")],
            UsageError,
            "'suffix' cannot be the name of a step, because lantern_calibrate has another use",
        ),
        (
            [after("dark", OneOverF, name="a.b")],
            UsageError,
            "'a.b' cannot be the name of a step: give ",
        ),
        (
            [after("dark", "lantern.steps.ClapStep")],
            UnknownStepError,
            "step to insert after dark: 'lantern.steps' has no class 'ClapStep' (did you mean 'Cl",
        ),
        (
            [after("dark", "nowhere.Step")],
            UnknownStepError,
            "step to insert after dark: Cannot import 'nowhere.Step': No module named 'nowhere'",
        ),
        (
            [after("dark", "lantern.steps.SUFFIXES")],
            UnknownStepError,
            "lantern.steps.SUFFIXES, to insert after dark, is a tuple: expected a Step class or a ",
        ),
        (
            [after("dark", int)],
            UnknownStepError,
            "'int' is not a Step: it has no spec, run",
        ),
        (
            [after("dark", OneOverF, facto=2)],
            ParameterError,
            "insert: lantern_calibrate: there is no parameter 'steps.one_over_f.facto' (did",
        ),
        (
            [Insertion("dark", "after", OneOverF, "", {"factor": "much"}, "a.toml, insert[0]")],
            ParameterError,
            "a.toml, insert[0]: lantern_calibrate: steps.one_over_f.factor = 'much'",
        ),
        (
            [after("dark", lambda row, by: row, name="x")],
            ParameterError,
            "<lambda>: parameter 'by' needs a default",
        ),
        (
            [after("dark", lambda row, by=(1, 2): row, name="x")],
            ParameterError,
            "<lambda>: parameter 'by' has the default (1, 2): expected a number, a boolean",
        ),
        (
            [after("dark", lambda row, skip=1: row, name="x")],
            ParameterError,
            "<lambda>: every step has 'skip' already: rename that parameter of the function",
        ),
        ([after("dark", lambda: 1, name="x")], ParameterError, "expected a function that takes a"),
    ],
)
def test_what_cannot_be_inserted_is_refused(insertions, error, message):
    with pytest.raises(error) as refused:
        with_insertions(CalibratePipeline, insertions)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_only_into_pipelines():
    with pytest.raises(UsageError, match="flat is a single step: steps can be inserted into pip"):
        with_insertions(FlatStep, [after("flat", OneOverF)])
    assert "calibrate" in with_insertions(NightPipeline, [after("clip", OneOverF)]).step_defs


def test_neither_before_nor_after():
    with pytest.raises(UsageError, match="'after' or 'before' another, not 'beside'"):
        Insertion("dark", "beside", OneOverF)


def test_module_in_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "of_this_folder.py").write_text("def same(row):\n    return row\n")
    monkeypatch.chdir(tmp_path)
    try:
        derived = with_insertions(CalibratePipeline, [after("dark", "of_this_folder.same")])
        assert list(derived.step_defs)[1] == "same"
    finally:
        sys.modules.pop("of_this_folder", None)


def test_through_text_and_back(monkeypatch):
    module = ModuleType("mylab")
    brighten.__module__, module.brighten = "mylab", brighten
    monkeypatch.setitem(sys.modules, "mylab", module)
    given = after("dark", brighten, by=2.0)
    assert given.as_json() == {
        "anchor": "dark",
        "where": "after",
        "step": "mylab.brighten",
        "name": "",
        "parameters": {"by": 2.0},
        "source": "insert",
    }
    (found,) = inserted_in(
        with_insertions(CalibratePipeline, [Insertion.from_json(given.as_json())])
    )
    assert found.step_class.function is brighten
    with pytest.raises(UsageError, match=r"<lambda> cannot be imported in another process"):
        after("dark", lambda row: row).as_json()
