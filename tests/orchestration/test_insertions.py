"""Steps inserted into a pipeline run where it was said, and are steps of it in all respects."""

import json
import sys
from pathlib import Path

import pytest
from lantern.model import Row
from lantern.pipelines import CalibratePipeline
from lantern.steps import ClipStep, DarkStep, FlatStep, LanternStep
from prefect.utilities.callables import parameter_schema

from stpipe_prefect import Pipeline, after, as_flow, before
from stpipe_prefect.cli.main import main
from stpipe_prefect.exceptions import InsertedStepError, ParameterError, UsageError
from stpipe_prefect.provenance.checkpoints import checkpoints
from stpipe_prefect.provenance.record import find_record

pytestmark = [
    pytest.mark.filterwarnings("default::Warning"),  # Prefect's own
    pytest.mark.usefixtures("mission", "prefect_server"),
]

CODE = '''"""Steps of one's own."""

from lantern.model import Row

RAN = []


def add(row, by: float = 1.0):
    """Add to all pixels."""
    RAN.append(by)
    return Row([pixel + by for pixel in row.data], **vars(row.meta))


def double(row):
    return Row([2 * pixel for pixel in row.data], **vars(row.meta))


def nothing(row):
    row.data = [0.0]


def text(row):
    return "row"


def broken(row):
    pixels = [pixel for pixel in row.data]
    return pixels[len(pixels)]
'''


@pytest.fixture(autouse=True)
def mylab(mission):
    """A module in the folder in which the user works."""
    (mission / "mylab.py").write_text(CODE)
    yield mission / "mylab.py"
    sys.modules.pop("mylab", None)


class TwicePipeline(Pipeline, LanternStep):
    """Runs a step twice, has one that returns two things, and one that it does not run."""

    class_alias = "lantern_twice"
    spec = "suffix = string(default='cal')"
    step_defs = {"dark": DarkStep, "flat": FlatStep, "clip": ClipStep}

    def process(self, data):
        self.flat.process = lambda row: (row, "more")
        row = self.dark.run(data)
        row, more = self.flat.run(self.dark.run(row))
        assert more == "more"
        return row


def made(flow, **given):
    (product,) = flow("one_raw.row", output_dir="out", **given)
    return Row.open(product).data, find_record(Path(product))


def inserted(*insertions, pipeline=CalibratePipeline, **given):
    return made(as_flow(pipeline, insert=insertions), steps={"clip": {"skip": True}}, **given)


def test_run_between_the_steps_of_the_pipeline_in_order():
    data, record = inserted(
        after("dark", "mylab.add"),
        after("dark", "mylab.double"),
        before("flat", "mylab.add", name="then", by=10),
        after("then", "mylab.double", name="again"),
    )
    assert data == [((value - 1 + 1) * 2 + 10) * 2 / 2 for value in (1, 10, 50, 100)]
    names = [row["step"] for row in record.steps]
    assert names == ["dark", "add", "double", "then", "again", "flat", "clip"]
    assert record.dependencies.insertions == [
        {"step": "add", "class": "mylab.add", "after": "dark"},
        {"step": "double", "class": "mylab.double", "after": "dark"},
        {"step": "then", "class": "mylab.add", "before": "flat"},
        {"step": "again", "class": "mylab.double", "after": "then"},
    ]
    (code,) = (row for row in record.dependencies.code if row["name"] == "mylab")
    assert sorted(code["steps"]) == ["add", "again", "double", "then"]
    parameters = {(row["step"], row["parameter"]): row for row in record.dependencies.parameters}
    assert parameters["then", "by"]["value"] == 10.0
    assert parameters["then", "by"]["source"] == "insert"
    assert parameters["clip", "high"]["value"] == 30.0  # of the pipeline's own parameter file
    assert record.caveats == [] and record.run["bases"] == []


def test_parameters_of_the_run_go_over_those_of_the_insertion():
    flow = as_flow(CalibratePipeline, insert=[after("dark", "mylab.add", by=5)])
    steps = {"clip": {"skip": True}, "add": {"by": 7.0}}
    assert made(flow, steps=steps)[0][0] == 3.5
    with pytest.raises(ParameterError, match=r"no parameter 'steps\.add\.bye' \(did you mean 'by'"):
        flow("one_raw.row", output_dir="out", steps={"add": {"bye": 7.0}})
    assert made(flow, steps={**steps, "add": {"skip": True}})[0][0] == 0.0


def test_anchor_that_is_skipped_runs_twice_or_returns_several_things():
    data, record = inserted(after("flat", "mylab.add"), before("flat", "mylab.double"))
    assert data == [1.0, 10.0, 50.0, 100.0]
    flow = as_flow(CalibratePipeline, insert=[after("flat", "mylab.add")])
    steps = {"clip": {"skip": True}, "flat": {"skip": True}}
    assert made(flow, steps=steps)[0] == [1.0, 10.0, 50.0, 100.0]
    twice = after("dark", "mylab.add"), after("flat", "mylab.double")
    data, record = inserted(*twice, pipeline=TwicePipeline, overwrite=True)
    assert data == [2.0, 20.0, 100.0, 200.0]
    assert [row["step"] for row in record.steps].count("add") == 2


def test_anchor_that_is_not_reached_leaves_a_caveat():
    flow = as_flow(TwicePipeline, insert=[after("clip", "mylab.add")])
    _, record = made(flow)
    assert record.remarks == ("add: did not run: inserted after clip, which was not reached",)
    assert flow.plan("one_raw.row", output_dir="out").remarks == record.remarks


def test_plan_says_what_is_different():
    def reasons(*insertions, **given):
        flow = as_flow(CalibratePipeline, insert=insertions)
        return flow.plan("one_raw.row", output_dir="out", **given).reasons

    made(as_flow(CalibratePipeline))
    add, double = after("dark", "mylab.add"), after("dark", "mylab.double")
    assert reasons() == ()
    assert reasons(add) == ("step add was added after dark",)
    made(as_flow(CalibratePipeline, insert=[add, double]))
    assert reasons(add, double) == ()
    assert reasons() == ("step add was removed", "step double was removed")
    assert reasons(add) == ("step double was removed",)
    moved = before("clip", "mylab.add")
    assert reasons(moved, double)[0] == "step add moved: after dark → before clip"
    assert reasons(double, add) == ("inserted steps in another order: add, double → double, add",)
    other = after("dark", "mylab.double", name="add")
    assert "step add is another: mylab.add → mylab.double" in reasons(other, double)
    (reason,) = reasons(after("dark", "mylab.add", by=2), double)
    assert reason == "parameter add.by 1.0 → 2.0 (step code → insert)"


def test_changed_code_of_a_step_makes_the_product_stale(mylab):
    flow = as_flow(CalibratePipeline, insert=[after("dark", "mylab.add")])
    made(flow)
    mylab.write_text(CODE.replace("pixel + by", "pixel - by"))
    assert flow.plan("one_raw.row", output_dir="out").reasons == ("code of mylab changed (add)",)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("nothing", "returned nothing: expected a data model"),
        ("text", "returned a str: expected a data model"),
        ("broken", "failed at {file}, line {line}: IndexError: list index out of range"),
    ],
)
def test_step_that_fails_is_named_with_the_line(mylab, step, message):
    line = CODE.splitlines().index("    return pixels[len(pixels)]") + 1
    with pytest.raises(InsertedStepError) as failed:
        inserted(after("dark", f"mylab.{step}"))
    title = f"step {step} (mylab.{step}, inserted after dark) "
    assert str(failed.value) == title + message.format(file=mylab, line=line)
    assert not list(Path("out").glob("*.row"))


def test_only_what_follows_a_step_that_was_fixed_runs_again(mylab, monkeypatch, tmp_path):
    monkeypatch.setenv("STPIPE_PREFECT_CHECKPOINTS", str(tmp_path / "checkpoints"))
    (tmp_path / "other.py").write_text("def same(row):\n    return row\n")
    flow = as_flow(
        CalibratePipeline,
        insert=[after("dark", "other.same"), after("flat", "mylab.broken"), after("flat", FlatTwo)],
    )
    with pytest.raises(InsertedStepError):
        flow("one_raw.row", output_dir="out", checkpoint=["all"])
    kept = ("dark", "same", "flat")
    assert sorted((each.steps for each in checkpoints()), key=len)[-1] == kept
    mylab.write_text(CODE.replace("return pixels[len(pixels)]", "return row"))
    sys.modules.pop("mylab")
    flow = as_flow(
        CalibratePipeline,
        insert=[after("dark", "other.same"), after("flat", "mylab.broken"), after("flat", FlatTwo)],
    )
    _, record = made(flow, checkpoint=["all"])
    outcomes = {row["step"]: row["outcome"] for row in record.steps}
    assert outcomes == {
        **dict.fromkeys(kept, "Cached"),
        "broken": "Completed",
        "flat_two": "Completed",
        "clip": "Completed",
    }
    sys.modules.pop("other")


class FlatTwo(FlatStep):
    """Has reference files of its own."""

    class_alias = "flat_two"


def test_reference_files_of_an_inserted_step():
    _, record = inserted(after("flat", FlatTwo))
    found = {(row["step"], row["type"]): row["file"] for row in record.dependencies.references}
    assert found["flat_two", "flat"] == "jwst_nircam_flat_0001.json"


def test_made_again_from_the_record_alone(capsys):
    inserted(after("dark", "mylab.add", by=3), before("flat", "lantern.steps.ClipStep", name="c"))
    (product,) = Path("out").glob("*.row")
    sys.modules.pop("mylab")
    assert main(["reproduce", str(product)]) == 0
    assert capsys.readouterr().out == "one_cal.row: bit-identical\n"
    assert main(["reproduce", str(product), "--export", "exported"]) == 1
    assert "step add was inserted after dark, which strun cannot do" in capsys.readouterr().err
    assert not Path("exported").exists()


def test_step_that_nobody_can_import_is_never_up_to_date(capsys):
    flow = as_flow(CalibratePipeline, insert=[after("dark", lambda row: row, name="same")])
    _, record = made(flow)
    assert record.dependencies.opaque == ["step same"]
    reasons = flow.plan("one_raw.row", output_dir="out").reasons
    assert reasons == ("step same cannot be compared between runs",)
    assert main(["reproduce", next(str(path) for path in Path("out").glob("*.row"))]) == 1
    assert "step same was given as an object" in capsys.readouterr().err


def test_not_into_an_instance():
    with pytest.raises(UsageError, match="lantern_calibrate: steps are inserted into a class; use"):
        as_flow(CalibratePipeline(), insert=[after("dark", "mylab.add")])


def form_of(flow):
    return parameter_schema(flow).properties["steps"]["properties"]


def test_form_shows_the_parameters_of_a_frozen_flow():
    config = {"steps": {"clip": {"skip": True}, "double": {"skip": True}}}
    insert = [after("dark", "mylab.add", by=3), after("dark", "mylab.double")]
    flow = as_flow(CalibratePipeline, config, insert=insert)
    steps = form_of(flow)
    assert list(steps) == ["dark", "add", "double", "flat", "clip"]
    assert steps["add"]["properties"]["by"]["default"] == 3
    assert steps["double"]["properties"]["skip"]["default"] is True
    assert made(flow, steps={"add": {"by": 3}})[0][0] == 1.5
    empty = form_of(as_flow(CalibratePipeline, insert=insert))
    assert "default" not in empty["add"]["properties"]["by"]


def test_deployment_takes_classes_by_name_only_if_it_may(monkeypatch):
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "any")  # as in the process that a worker starts
    flow = as_flow(CalibratePipeline, insert=[after("dark", "mylab.add")])
    with pytest.raises(
        ParameterError, match=r"mylab\.add is not allowed in a deployment; STPIPE_P"
    ):
        flow("one_raw.row", output_dir="out")
    made(as_flow(CalibratePipeline, insert=[after("dark", FlatTwo)]))  # by who wrote the flow
    monkeypatch.setenv("STPIPE_PREFECT_ALLOW_CLASSES", "true")
    made(flow, overwrite=True)


def test_record_of_an_insertion_that_was_tampered_with_is_refused(capsys):
    inserted(after("dark", "mylab.add"))
    (path,) = Path("out").glob("*.provenance.json")
    content = json.loads(path.read_text())
    del content["insertions"][0]["after"]
    path.write_text(json.dumps(content))
    assert main(["reproduce", "out/one_cal.row"]) == 1
    assert "does not say where step add was inserted" in capsys.readouterr().err
