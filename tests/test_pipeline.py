"""What a pipeline adds to a step."""

import pytest
from lantern.model import Row
from lantern.pipelines import CalibratePipeline, NightPipeline
from lantern.steps import ClipStep, LanternStep

from stpipe_prefect import Pipeline
from stpipe_prefect.parameters.layers import new_config


def test_steps_know_their_names_and_their_parent():
    night = NightPipeline("night")
    assert night.calibrate.clip.name == "clip"
    assert night.calibrate.parent is night
    assert night.calibrate.clip.qualified_name == "stpipe.night.calibrate.clip"


def test_parameters_by_step():
    night = NightPipeline(steps={"calibrate": {"steps": {"clip": {"high": "7"}}}})
    assert night.get_pars()["steps"]["calibrate"]["steps"]["clip"]["high"] == 7.0
    night.update_pars({"steps": {"calibrate": {"steps": {"clip": {"high": 8.0}}}}})
    assert night.calibrate.clip.high == 8.0
    own = night.get_pars(full_spec=False)
    assert set(own) == {"suffix", "steps"}
    assert set(own["steps"]["clip"]) == {"low", "high", "method", "keep"}


def test_a_step_may_have_another_name_than_its_class_alias():
    class TwicePipeline(Pipeline, LanternStep):
        step_defs = {"first": ClipStep, "second": ClipStep}

        def process(self, data):
            return self.second.run(self.first.run(data))

    pipeline = TwicePipeline(steps={"first": {"low": 5}, "second": {"high": 7}})
    assert pipeline.run(Row([1.0, 9.0])).data == [5.0, 7.0]


def test_input_name_for_all_steps():
    night = NightPipeline()
    night.set_input_filename("all_raw.row")
    assert night.clip.make_output_path(suffix="x") == "all_x.row"
    assert night.calibrate.clip._input_filename == "all_raw.row"


def test_merge_pipeline_config(tmp_path):
    (tmp_path / "pars.cfg").write_text("[steps]\n[[clip]]\nhigh = 3\n")
    config = new_config({"steps": {"clip": {"high": 1, "low": 2}}})
    merged = CalibratePipeline.merge_pipeline_config(config, str(tmp_path / "pars.cfg"))
    assert merged["steps"]["clip"].dict() == {"high": "3", "low": 2}


def test_products_of_steps_are_saved_under_the_pipelines_name(mission):
    pipeline = CalibratePipeline(steps={"flat": {"save_results": True, "suffix": "flat"}})
    pipeline.run("one_raw.row")
    assert Row.open("one_flat.row").data == [0.0, 4.5, 24.5, 49.5]


@pytest.mark.parametrize("options", [{}, {"output_dir": "out"}])
def test_a_used_pipeline_is_as_before(mission, options):
    pipeline = CalibratePipeline(**options)
    pipeline.run("one_raw.row")  # has steps take their default suffix for good
    before = pipeline.get_pars()
    pipeline.run("one_raw.row")
    assert pipeline.get_pars() == before


def test_step_defs_have_to_be_steps():
    class OddPipeline(CalibratePipeline):
        step_defs = {"dark": dict}

    with pytest.raises(TypeError, match="OddPipeline: 'dark' in step_defs is not a Step class"):
        OddPipeline.load_spec_file()
