"""What happens around ``process``, and what does not."""

import gc
import logging
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy
import pytest
from lantern.model import Row
from lantern.pipelines import CalibratePipeline, NightPipeline
from lantern.steps import ClipStep, LanternStep

from stpipe_prefect import Step
from stpipe_prefect.exceptions import ParameterError
from stpipe_prefect.step import preserve_step_pars


class EchoStep(LanternStep):
    """Log what it gets and give it back."""

    def process(self, *args):
        logging.getLogger("lantern.echo").warning("echo %s", args)
        return args[0] if args else None


def test_a_step_has_to_say_how_to_process():
    with pytest.raises(NotImplementedError, match="Step"):
        Step(output_ext=".x").run()


def test_without_arguments():
    assert EchoStep().run() is None


def test_skipped_step_leaves_the_data_alone_and_records_it():
    pipeline = CalibratePipeline(steps={"clip": {"skip": True}})
    row = Row([1000.0])
    assert pipeline.clip.run(row) is row
    assert row.data == [1000.0]
    assert row.meta.cal_step.clip == "SKIPPED"


@pytest.mark.parametrize("data", [None, "one_raw.row", [1, 2], object()])
def test_skipping_what_cannot_record_it(data):
    pipeline = CalibratePipeline(steps={"clip": {"skip": True}})
    assert pipeline.clip.run(data) is data


def test_skipping_a_library_marks_every_model():
    from jwst.datamodels import ModelLibrary
    from stdatamodels.jwst.datamodels import ImageModel

    class JumpStep(EchoStep):
        class_alias = "jump"

    models = [ImageModel((2, 2)) for _ in range(2)]
    for number, model in enumerate(models):
        model.meta.filename = f"m{number}.fits"
        model.meta.group_id = str(number)
    step = JumpStep(skip=True, parent=CalibratePipeline())
    library = step.run(ModelLibrary(models))
    with library:
        for model in library:
            assert model.meta.cal_step.jump == "SKIPPED"
            library.shelve(model, modify=False)


def test_alone_a_step_is_not_skipped():
    row = ClipStep("clip", skip=True, high=5.0).run(Row([9.0]))
    assert row.data == [5.0]


def test_a_value_set_wrong_is_refused_when_the_step_runs():
    step = ClipStep("clip")
    step.high = "very"
    with pytest.raises(ParameterError, match=r"clip: high = 'very' is not allowed"):
        step.run(Row([1.0]))


def test_text_set_by_hand_reads_as_the_type_asked_for():
    step = ClipStep("clip")
    step.high = "5"
    assert step.get_pars()["high"] == 5.0


def test_reference_files_used_are_finalized_per_run(mission):
    used = []

    class Recording(CalibratePipeline):
        def finalize_result(self, result, reference_files_used):
            used.append(list(reference_files_used))

    pipeline = Recording()
    row = pipeline.dark.run("one_raw.row")
    assert row.meta.references == {"dark": "crds://jwst_nircam_dark_0001.json"}
    pipeline.dark.run(Row([1.0]))
    assert pipeline.dark._reference_files_used == []


def test_lines_of_a_run_are_kept(mission):
    pipeline = CalibratePipeline()
    with _level("lantern", logging.INFO):
        pipeline.run("one_raw.row")
    assert "lantern.steps: subtracting 1.0" in pipeline.log_records
    assert pipeline.dark.log_records is pipeline.log_records
    with _level("lantern", logging.INFO):
        pipeline.run("one_raw.row")
    assert pipeline.log_records.count("lantern.steps: subtracting 1.0") == 1


def test_call_shows_the_log_and_tidies_up(mission, capsys):
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.getLogger("stpipe").level
    NightPipeline.call(_night("one_raw.row"))
    shown = capsys.readouterr().err
    assert "lantern.steps - INFO - subtracting 1.0" in shown
    assert shown.count("Step NightPipeline done") == 1
    assert (root.handlers[:], root.level, logging.getLogger("stpipe").level) == before
    assert logging.getLogger("lantern").handlers == []
    NightPipeline.call(_night("one_raw.row"), configure_log=False)
    assert capsys.readouterr().err == ""


def test_two_threads_keep_their_logs_apart():
    together = threading.Barrier(2)

    class WaitingStep(EchoStep):
        def process(self, *args):
            together.wait(60)
            for _ in range(20):
                super().process(*args)
            together.wait(60)

    steps = [WaitingStep("one"), WaitingStep("two")]
    threads = [threading.Thread(target=step.run, args=(step.name,)) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for step, other in (steps, steps[::-1]):
        lines = [line for line in step.log_records if "echo" in line]
        assert lines == [f"lantern.echo: echo ('{step.name}',)"] * 20
        assert not any(other.name in line for line in step.log_records)


def test_a_thread_of_the_step_counts_as_its_own():
    class ThreadedStep(EchoStep):
        def process(self, *args):
            thread = threading.Thread(target=super().process, args=args)
            thread.start()
            thread.join()

    step = ThreadedStep()
    step.run("helper")
    assert "lantern.echo: echo ('helper',)" in step.log_records


def test_no_garbage_collection():
    collections = []
    gc.callbacks.append(lambda phase, info: collections.append(info["generation"]))
    try:
        EchoStep().run(1)
    finally:
        gc.callbacks.pop()
    assert 2 not in collections


def test_run_of_a_sub_step_and_prefetch_can_be_replaced(mission):
    pipeline, seen = CalibratePipeline(), []
    pipeline.clip.run = lambda row: seen.append("clip") or row
    pipeline.prefetch = lambda *args: seen.append(args)
    pipeline.run("one_raw.row")
    assert seen == [("one_raw.row",), "clip"]


def test_a_step_is_called_as_it_is_run(mission):
    assert ClipStep(low=5.0)("one_raw.row").data == [5.0, 10.0, 50.0, 100.0]


def test_pipeline_has_its_own_way_to_fetch_references_in_advance(mission):
    class Own(CalibratePipeline):
        def _precache_references(self, input_file):
            seen.append(input_file)

    seen = []
    Own().run("one_raw.row")
    ClipStep()._precache_references("one_raw.row")  # does nothing, and can be called
    assert seen == ["one_raw.row"]


def test_suffix_is_there_for_who_saves_by_himself(mission):
    pipeline = CalibratePipeline()
    row = pipeline.run("one_raw.row")
    names = [step.make_output_path() for step in (pipeline.dark, pipeline.flat, pipeline)]
    assert names == ["one_dark.row", "one_flat.row", "one_cal.row"]
    step = ClipStep("clip")
    step.run(row)
    assert step.suffix == "clip"


@pytest.mark.parametrize("data", [5, [], None, numpy.ones(2), {}, {"meta.instrument.name": "X"}])
def test_call_with_what_is_no_data_model(mission, data):
    class GiveBackStep(ClipStep):
        _datamodels_open = classmethod(lambda cls, init, **kwargs: init)

        def process(self, data):
            return data

    assert GiveBackStep.call(data, configure_log=False) is data


def test_parameters_preserved():
    pipeline = CalibratePipeline()
    with preserve_step_pars(pipeline) as saved:
        pipeline.clip.high = 1.0
        pipeline.suffix = "tmp"
    assert saved["steps"]["clip"]["high"] == pipeline.clip.high == 100.0
    assert pipeline.suffix == "cal"


def test_search_attr():
    night = NightPipeline()
    night.title = "first"
    night.calibrate.title = "second"
    step = night.calibrate.clip
    assert step.search_attr("title") == "second"
    assert step.search_attr("title", parent_first=True) == "first"
    assert step.search_attr("nothing", default=7) == 7
    assert step.qualified_name == "stpipe.NightPipeline.calibrate.clip"
    assert step.log.name == step.qualified_name


def _night(*names):
    Path("all.night").write_text("\n".join(names))
    return "all.night"


@contextmanager
def _level(name, level):
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(level)
    yield
    logger.setLevel(before)
