"""What one flow run is given, read by the specification of its pipeline."""

from lantern.pipelines import CalibratePipeline

from stpipe_prefect.orchestration.request import Request, given_to
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
