"""Steps of both bases, and functions, between those of the real pipelines of both missions."""

import json
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from stpipe_prefect.provenance.record import find_record

pytestmark = pytest.mark.filterwarnings("default::Warning")  # jwst's own

CODE = """
import numpy as np
from stpipe_prefect import Step


class OneOverF(Step):
    class_alias = "one_over_f"
    spec = "factor = float(default=1.0)  # How much to subtract"

    def process(self, model):
        model.data = model.data - self.factor * np.median(model.data, axis=-1, keepdims=True)
        return model


def pedestal(model, level: float = 0.0):
    model.data = model.data + level
    return model
"""

RUN = """
import sys

from stpipe_prefect import after, as_flow, before
from stpipe_prefect.cli.main import main
from stpipe_prefect.insertions.insertion import Insertion
from stpipe_prefect.provenance.plans import QuickPlanner

exposure, out, first, second = sys.argv[1:]
insert = [
    after("jump", first, min_radius=5),
    after("snowblind", "cleaning.OneOverF", factor=0.5),
    before("ramp_fit", "cleaning.pedestal", level=2.0),
    after("ramp_fit", "cleaning.pedestal", name="raised", level=0.25),
]
flow = as_flow("calwebb_detector1", insert=insert)
(rate, _) = flow(exposure, output_dir=out)
assert flow.plan(exposure, output_dir=out).is_up_to_date
context = "jwst_0001.pmap"
quick = lambda *given: QuickPlanner("jwst", "calwebb_detector1", context, insertions=given)
from pathlib import Path

print(quick(*insert).plan(exposure, Path(out)).is_up_to_date)
print(quick(*insert[:3]).plan(exposure, Path(out)).is_up_to_date)
print(quick().plan(exposure, Path(out)).is_up_to_date)
print(main(["reproduce", rate]))
"""

BY_HAND = """
import sys

import cleaning
from jwst.pipeline import Detector1Pipeline
from snowblind import SnowblindStep

class ByHand(Detector1Pipeline):
    spec = ""

    def process(self, data):
        jump, ramp_fit = type(self.jump).run, type(self.ramp_fit).run
        snowblind = SnowblindStep(min_radius=5, parent=self)

        def after_jump(model):
            model = snowblind.run(jump(self.jump, model))
            model.data = model.data - 0.5 * cleaning.np.median(model.data, axis=-1, keepdims=True)
            return model

        def around_ramp_fit(model):
            model.data = model.data + 2.0
            rate, ints = ramp_fit(self.ramp_fit, model)
            rate.data = rate.data + 0.25
            return rate, ints

        self.jump.run, self.ramp_fit.run = after_jump, around_ramp_fit
        return super().process(data)

ByHand.__name__ = "Detector1Pipeline"
ByHand.call(sys.argv[1], output_dir=sys.argv[2], save_results=True)
"""


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    (tmp_path / "cleaning.py").write_text(CODE)
    (tmp_path / "by_hand").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_of_jwst_is_the_same_by_hand(small, run_python, prefect_url, workplace, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", prefect_url)
    exposure, crds = small.program.exposures[0], {"CRDS_PATH": small.crds_path}
    said = run_python(RUN, exposure, "out", "snowblind.SnowblindStep", "", **crds)
    assert [line for line in said.splitlines() if line in ("True", "False")] == [
        "True",
        "False",
        "False",
    ]
    assert said.splitlines()[-3:] == [
        "jw01234001001_02101_00001_nrcb1_rate.fits: bit-identical",
        "jw01234001001_02101_00001_nrcb1_rateints.fits: bit-identical",
        "0",
    ]
    run_python(BY_HAND, exposure, "by_hand", **crds)
    for made in sorted(Path("out").glob("*.fits")):
        with fits.open(made) as flow, fits.open(Path("by_hand", made.name)) as hand:
            for hdu in flow:
                if hdu.data is not None and hdu.name != "ASDF":
                    assert np.array_equal(hdu.data, hand[hdu.name].data, equal_nan=True), hdu.name
            history = "".join(flow[0].header["HISTORY"])
            assert "HISTORY" not in hand[0].header
        record = find_record(made)
        (code,) = (row for row in record.dependencies.code if row["name"] == "cleaning")
        assert "snowblind.snowblind.SnowblindStep, inserted after jump" in history
        assert f"inserted after ramp_fit; code {code['sha256'][:12]}; level=0.25" in history


ROMAN = """
import sys

from lantern.steps import double
from stpipe_prefect import after, as_flow, before

flow = as_flow(
    "roman_elp",
    insert=[
        before("refpix", "cleaning.pedestal", level=1.0),
        after("rampfit", "cleaning.OneOverF"),
        after("flatfield", "jwst.stpipe.Step", name="of_jwst", skip=True),
        after("source_catalog", "cleaning.pedestal", name="unreached"),
    ],
)
steps = {"source_catalog": {"skip": True}, "tweakreg": {"skip": True}}
flow(sys.argv[1], output_dir="out", steps=steps)
"""


@pytest.mark.slow
def test_of_roman(roman, run_python, prefect_url, workplace, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", prefect_url)
    variables = {"CRDS_PATH": roman.crds_path, "CRDS_OBSERVATORY": "roman"}
    run_python(ROMAN, roman.exposures[0], **variables)
    (product,) = Path("out").glob("*_cal.asdf")
    record = find_record(product)
    ran = {row["step"]: row["outcome"] for row in record.steps}
    assert ran.items() >= {"pedestal": "Completed", "one_over_f": "Completed"}.items()
    assert ran["of_jwst"] == "Skipped"
    assert record.remarks == ("unreached: did not run: …",)
    log = record.path.with_suffix("").with_suffix(".log").read_text()
    assert "step pedestal: cleaning.pedestal, inserted before refpix" in log
    import asdf

    with asdf.open(product) as file:
        logs = json.dumps(list(file["roman"]["meta"]["cal_logs"]))
    assert "step one_over_f: cleaning.OneOverF, inserted after rampfit" in logs
