"""Flows and tasks take what ``.call`` and ``.run`` take, and give what these give."""

import asyncio
import gc
import warnings
from pathlib import Path

import pytest
from lantern.model import Row
from lantern.pipelines import CalibratePipeline
from lantern.steps import ClipStep, DarkStep, LanternStep
from prefect import flow, get_run_logger
from prefect.logging.handlers import APILogWorker

from stpipe_prefect import as_flow, as_task
from stpipe_prefect.exceptions import UsageError
from stpipe_prefect.orchestration.workarounds import send_what_is_queued
from stpipe_prefect.provenance.record import find_record

pytestmark = [
    pytest.mark.filterwarnings("default::Warning"),  # Prefect's own
    pytest.mark.usefixtures("mission", "prefect_server"),
]


class SubtractStep(LanternStep):
    """Subtracts other exposures, given as files or models."""

    class_alias = "lantern_subtract"

    def process(self, data, others):
        row = self.open_model(data)
        for other in map(self.open_model, others):
            row.data = [one - two for one, two in zip(row.data, other.data, strict=True)]
        return row


class SumStep(LanternStep):
    """Adds up a list of exposures, or those of an association."""

    class_alias = "lantern_sum"

    def process(self, data):
        if isinstance(data, dict):
            data = [member["expname"] for member in data["products"][0]["members"]]
        rows = [self.open_model(each) for each in data]
        return Row([sum(pixels) for pixels in zip(*(row.data for row in rows), strict=True)])


@pytest.fixture
def sky():
    Row([1.0, 1.0, 1.0, 1.0]).save("sky.row")
    return "sky.row"


LESS = [0.0, 9.0, 49.0, 99.0]


@pytest.mark.parametrize("step", [SubtractStep, SubtractStep()])
def test_task_of_a_step_with_several_inputs(sky, step):
    @flow
    def own():
        return as_task(step)("one_raw.row", [sky]).take().data

    assert own() == SubtractStep.call("one_raw.row", [sky], configure_log=False).data == LESS


def test_flow_of_a_step_with_several_inputs(sky):
    subtract = as_flow(SubtractStep)
    (product,) = subtract("one_raw.row", [sky], output_dir="out")
    assert Row.open(product).data == LESS
    assert subtract.plan("one_raw.row", [sky], output_dir="out").is_up_to_date
    Row([2.0, 1.0, 1.0, 1.0]).save(sky)
    assert subtract.plan("one_raw.row", [sky], output_dir="out").reasons == (
        "input sky.row changed",
    )
    (product,) = subtract(Row.open("one_raw.row"), [Row.open(sky)], output_dir="out")
    assert Row.open(product).data == [-1.0, 9.0, 49.0, 99.0]


def test_tasks_take_handles_among_their_inputs(sky):
    @flow
    def own():
        return as_task(SubtractStep())(as_task(ClipStep())("one_raw.row"), [sky]).take().data

    assert own() == LESS


@pytest.mark.parametrize("kind", ["names", "paths", "tuple", "models", "association"])
def test_lists_and_associations(sky, kind):
    names = ["one_raw.row", sky]
    members = [{"expname": name, "exptype": "science"} for name in names]
    data = {
        "names": names,
        "paths": [Path(name) for name in names],
        "tuple": (*names,),
        "models": [Row.open(name) for name in names],
        "association": {"products": [{"name": "both", "members": members}]},
    }[kind]
    called = SumStep.call(data, configure_log=False)
    products = as_flow(SumStep)(data, output_dir="out")
    assert Row.open(products[0]).data == called.data == [2.0, 11.0, 51.0, 101.0]
    record = find_record(Path(products[0]))
    inputs = [*names, "both"] if kind == "association" else names  # what it says counts, too
    assert [Path(file.path).name for file in record.dependencies.inputs] == inputs


def test_configured_instance_runs_as_it_is_set():
    pipeline = CalibratePipeline(output_dir="out")
    pipeline.dark.skip = True
    pipeline.clip.high = 30.0
    before = pipeline.get_pars()
    (product,) = as_flow(pipeline)("one_raw.row")
    assert product == "out/one_cal.row"
    assert pipeline.get_pars() == before

    other = CalibratePipeline()
    other.dark.skip = True
    other.clip.high = 30.0
    assert Row.open(product).data == other.run("one_raw.row").data
    rows = find_record(Path(product)).dependencies.parameters
    by_name = {(row["step"], row["parameter"]): (row["value"], row["source"]) for row in rows}
    assert by_name["dark", "skip"] == (True, "set on the instance")
    assert by_name["clip", "high"] == (30.0, "set on the instance")
    assert by_name["clip", "method"] == ("clip", "step code")  # none is asked of CRDS
    pipeline.clip.high = 20.0
    assert (
        as_flow(pipeline)
        .plan("one_raw.row")
        .reasons[0]
        .startswith("parameter clip.high 30.0 → 20.0")
    )


def test_task_of_an_instance_takes_a_name():
    @flow
    def own():
        return as_task(DarkStep(scale=2.0))("one_raw.row").take().data

    assert own() == [-1.0, 8.0, 48.0, 98.0]


def test_models_are_handed_from_flow_to_flow():
    dark, clip = as_flow(DarkStep), as_flow(ClipStep)
    options = {"output_dir": "out", "return_models": True}
    row = dark("one_raw.row", **options)
    assert row.data == LESS
    clipped = clip(row, high=50.0, **options)
    assert isinstance(clipped, Row)
    assert clipped.data == [0.0, 9.0, 49.0, 0.0]
    assert Row.open("out/one_darkstep_clip.row").data == clipped.data
    cached = dark("one_raw.row", return_state=True, **options)
    assert cached.name == "Cached"
    assert dark("one_raw.row", **options).data == LESS


def test_models_without_products():
    row = as_flow(DarkStep)("one_raw.row", output_dir="out", return_models=True, save_results=False)
    assert row.data == LESS
    assert not list(Path("out").glob("*.row"))
    state = as_flow(DarkStep)(
        "one_raw.row", output_dir="out", return_models=True, save_results=False, return_state=True
    )
    assert state.name == "Completed"  # there is nothing that could be read again


def test_log_of_a_task_is_shown_and_kept(caplog):
    class LoggedStep(DarkStep):
        def finalize_result(self, result, reference_files_used):
            result.meta.log = [*self.log_records]

    @flow
    def own():
        return as_task(LoggedStep)("one_raw.row").take().meta.log

    lines = own()
    assert "lantern.steps: subtracting 1.0" in lines
    assert "stpipe.step: Step LoggedStep running with args ('one_raw.row',)." in lines


def test_run_on_an_open_model_is_labelled_after_it():
    named = Row([1.0], filename="mine_raw.row")
    state = as_flow(ClipStep)(named, output_dir="out", return_state=True)
    unnamed = as_flow(ClipStep)(Row([1.0]), output_dir="other", return_state=True)
    assert [_name(each) for each in (state, unnamed)] == [
        "clip · mine_raw.row",
        "clip · Row",
    ]


def _name(state):
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return client.read_flow_run(state.state_details.flow_run_id).name


def test_flow_in_a_notebook_says_nothing_of_coroutines():
    async def cell():
        return as_flow(ClipStep)("one_raw.row", output_dir="out")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        products = asyncio.run(cell())
        gc.collect()
    assert products == ["out/one_clip.row"]


def test_waiting_for_the_server_in_a_notebook_really_waits():
    sent = []

    @flow
    def own():
        get_run_logger().info("said in the run")

    async def cell():
        own()
        send_what_is_queued()
        sent.append(APILogWorker.instance()._queue.qsize())

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(cell())
        gc.collect()
    assert [str(each.message) for each in caught if "never awaited" in str(each.message)] == []
    assert sent == [0]


def test_tasks_are_mapped_and_submitted_with_models(sky):
    names = ["one_raw.row", sky]

    @flow
    def own():
        task = as_task(DarkStep(scale=2.0))
        mapped = [*task.map(names), *task.map([Row.open(name) for name in names])]
        submitted = task.submit(Row.open(sky))
        return [future.result().take().data for future in [*mapped, submitted]]

    one, two = [-1.0, 8.0, 48.0, 98.0], [-1.0] * 4
    assert own() == [one, two, one, two, two]


def test_handles_in_a_list_are_opened():
    @flow
    def own():
        first = as_task(DarkStep)("one_raw.row")
        return as_task(SumStep)([first, "one_raw.row"]).take().data

    assert own() == [1.0, 19.0, 99.0, 199.0]


class ListStep(LanternStep):
    """Returns a list, or nothing but products."""

    class_alias = "lantern_list"
    spec = """
    nothing = boolean(default=False)  # Return nothing
    """

    def process(self, data):
        rows = [self.open_model(data)]
        if self.nothing:
            self.save_model(rows[0], suffix="product", force=True)
            Path(self.output_dir, "catalog.txt").write_text("no model")
            return None
        return rows


@pytest.mark.parametrize("nothing", [False, True])
def test_models_of_an_earlier_run_come_as_those_of_the_first(nothing):
    step = as_flow(ListStep)
    options = {"output_dir": "out", "return_models": True, "nothing": nothing}
    for name in ("Completed", "Cached"):
        state = step("one_raw.row", return_state=True, **options)
        assert state.name == name
        assert [row.data for row in state.result().take()] == [[1.0, 10.0, 50.0, 100.0]]


def test_flow_of_an_instance_takes_it_as_it_is_when_called():
    pipeline = CalibratePipeline(output_dir="out")
    calibrate = as_flow(pipeline)
    before = Row.open(calibrate("one_raw.row")[0]).data
    pipeline.dark.scale = 5.0
    assert calibrate.plan("one_raw.row").reasons == (
        "parameter dark.scale 1.0 → 5.0 (step code → set on the instance)",
    )
    assert Row.open(calibrate("one_raw.row")[0]).data != before


def test_parameter_file_goes_over_an_instance(tmp_path):
    ClipStep(high=20.0, low=5.0).export_config("clip.asdf")
    clip = ClipStep(high=30.0, low=2.0, keep=[1])
    (product,) = as_flow(clip)("one_raw.row", output_dir="out", config_file="clip.asdf", low=7.0)
    assert Row.open(product).data == [7.0, 10.0, 20.0, 20.0]
    with pytest.raises(UsageError, match="clip: an instance has its own parameters"):
        as_flow(clip, config={"high": 3.0})


class DoubleStep(ClipStep):
    """A step that somebody puts in the place of another."""

    spec = """
    factor = float(default=2.0)  # Times the pixels
    """

    def process(self, data):
        row = self.open_model(data)
        row.data = [self.factor * pixel for pixel in row.data]
        self.factor = 0.0
        return row


def test_steps_put_in_the_place_of_others_run():
    pipeline = CalibratePipeline(output_dir="out")
    pipeline.clip = DoubleStep("clip", parent=pipeline, factor=3.0)
    pipeline.note = object()
    calibrate = as_flow(pipeline)
    options = {"steps": {"flat": {"skip": True}}}
    (product,) = calibrate("one_raw.row", **options)
    assert Row.open(product).data == [0.0, 27.0, 147.0, 297.0]
    assert pipeline.clip.factor == 3.0  # what runs is a copy
    assert calibrate.plan("one_raw.row", **options).reasons == (
        "clip of the instance cannot be compared between runs",
        "note of the instance cannot be compared between runs",
    )
