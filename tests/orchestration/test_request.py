"""What one flow run is given, read by the specification of its pipeline."""

from pathlib import Path

from lantern.pipelines import CalibratePipeline

from stpipe_prefect.orchestration.request import Request, given_to
from stpipe_prefect.parameters.resolution import Layer, Source, resolve
from stpipe_prefect.references.needs import read_crds_parameters


def test_text_reaches_the_steps_as_the_values_it_stands_for(mission):
    given = {
        "suffix": None,  # left alone
        "steps": {
            "clip": {"keep": "2,3", "low": "None", "high": "5"},
            "dark": {"post_hooks": "lantern.steps.look,", "output_ext": "'None'"},
        },
    }
    request = Request(CalibratePipeline, given_to(CalibratePipeline, given))
    request.check("one_raw.row")
    pipeline = request.configure(*read_crds_parameters(CalibratePipeline, "one_raw.row"))
    assert (pipeline.clip.keep, pipeline.clip.low, pipeline.clip.high) == ([2, 3], None, 5.0)
    assert (pipeline.dark.post_hooks, pipeline.dark.output_ext) == (["lantern.steps.look"], "None")
    assert pipeline.suffix == "cal"


def test_layer_of_a_job_is_over_crds_and_below_what_is_given(mission):
    Path("mine.cfg").write_text("[steps]\n[[clip]]\nhigh = 7\n")
    rule = Layer(Source("rule"), {"steps": {"clip": {"low": 1.0, "high": 2.0, "keep": [4]}}})
    request = Request(
        CalibratePipeline, {"steps": {"clip": {"keep": [5]}}}, "mine.cfg", between=(rule,)
    )
    about = read_crds_parameters(CalibratePipeline, "one_raw.row")
    pipeline = request.configure(*about)
    settings = resolve(pipeline, request.layers(*about, "jwst_0001.pmap"))
    found = {each.name: (each.value, str(each.source)) for each in settings if each.step == "clip"}
    assert found["low"] == (1.0, "rule")
    assert found["high"] == (7.0, "parameter file mine.cfg")
    assert found["keep"] == ([5], "flow run")


def test_layer_over_files_is_below_what_is_given(mission):
    Path("mine.cfg").write_text("[steps]\n[[clip]]\nhigh = 7\nlow = 1\nkeep = 1,\n")
    rules = [
        Layer(Source("campaign.toml"), {"steps": {"clip": {"low": 2.0, "high": 8}}}, True),
        Layer(Source("campaign.toml, for filter=F1"), {"steps": {"clip": {"low": 3}}}, True),
    ]
    given = {"steps": {"clip": {"high": 9}}}
    request = Request(CalibratePipeline, given, "mine.cfg", between=tuple(rules))
    about = read_crds_parameters(CalibratePipeline, "one_raw.row")
    settings = resolve(request.configure(*about), request.layers(*about, "jwst_0001.pmap"))
    found = {each.name: each for each in settings if each.step == "clip"}
    assert found["keep"].row()["source"] == "parameter file mine.cfg"
    assert (found["high"].value, str(found["high"].source)) == (9.0, "flow run")
    assert (found["low"].value, str(found["low"].source)) == (3.0, "campaign.toml, for filter=F1")
    assert [str(setting.source) for setting in found["low"].settings[-3:-1]] == [
        "parameter file mine.cfg",
        "campaign.toml",
    ]


def test_layer_over_files_decides_whether_the_product_is_saved(mission):
    rule = Layer(Source("campaign.toml"), {"save_results": False, "suffix": "mine"}, True)
    request = Request(CalibratePipeline, {}, between=(rule,))
    pipeline = request.configure(*read_crds_parameters(CalibratePipeline, "one_raw.row"))
    assert (pipeline.save_results, pipeline.suffix) == (False, "mine")
    assert request.says("suffix") == "mine"
