"""What a run reads, selects and checks, it does once."""

import crds
import pytest
from lantern.pipelines import CalibratePipeline
from lantern.steps import LanternStep

from stpipe_prefect import as_flow
from stpipe_prefect.parameters.validation import check_parameters

pytestmark = pytest.mark.filterwarnings("default::Warning")  # Prefect's own


def test_metadata_references_and_parameters(mission, prefect_server, monkeypatch):
    flow = as_flow(CalibratePipeline)
    files, types, checked = [], [], []
    read_metadata = LanternStep._get_crds_parameters.__func__
    select = crds.getrecommendations

    def noted_read(step_class, data):
        files.extend([data] if isinstance(data, str) else [])  # steps ask with open models, too
        return read_metadata(step_class, data)

    def noted_selection(*args, **options):
        types.extend(options["reftypes"])
        return select(*args, **options)

    def noted_check(step_class, given):
        checked.append(step_class)
        check_parameters(step_class, given)

    monkeypatch.setattr(LanternStep, "_get_crds_parameters", classmethod(noted_read))
    monkeypatch.setattr(crds, "getrecommendations", noted_selection)
    for module in ("orchestration.request", "orchestration.tasks", "parameters.files"):
        monkeypatch.setattr(f"stpipe_prefect.{module}.check_parameters", noted_check)
    assert flow("one_raw.row", output_dir="out", return_state=True).is_completed()
    assert files == ["one_raw.row"]
    assert checked == [CalibratePipeline]
    steps = ("darkstep", "flatstep", "clipstep", "calibratepipeline")
    # Those of parameters first: they decide which steps run, and so which files are needed.
    assert sorted(types[:4]) == sorted(f"pars-{name}" for name in steps)
    assert sorted(types[4:]) == ["dark", "flat"]
