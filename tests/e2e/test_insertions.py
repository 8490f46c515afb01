"""Steps of both bases, and functions, between those of the real pipelines of both missions."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from stpipe_prefect import after, as_flow, before
from stpipe_prefect.cli.main import main
from stpipe_prefect.provenance.plans import QuickPlanner
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

INSERTED = [
    after("jump", "snowblind.SnowblindStep", min_radius=5),
    after("snowblind", "cleaning.OneOverF", factor=0.5),
    before("ramp_fit", "cleaning.pedestal", level=2.0),
    after("ramp_fit", "cleaning.pedestal", name="raised", level=0.25),
]

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


@pytest.fixture
def made(small, workplace, prefect_server, monkeypatch):
    """The products of calwebb_detector1 with four steps inserted, and its flow."""
    monkeypatch.setenv("CRDS_PATH", str(small.crds_path))
    monkeypatch.delenv("CRDS_CONTEXT", raising=False)
    monkeypatch.delenv("CRDS_SERVER_URL", raising=False)
    monkeypatch.delitem(sys.modules, "cleaning", raising=False)  # of another test
    flow = as_flow("calwebb_detector1", insert=INSERTED)
    yield flow(small.program.exposures[0], output_dir="out")
    sys.modules.pop("cleaning", None)


def test_of_jwst_in_record_plan_and_product(made, small, capsys):
    exposure, context = str(small.program.exposures[0]), "jwst_0001.pmap"
    for insertions, is_same in ((INSERTED, True), (INSERTED[:3], False), ((), False)):
        flow = as_flow("calwebb_detector1", insert=insertions)
        quick = QuickPlanner("jwst", "calwebb_detector1", context, insertions=insertions)
        assert flow.plan(exposure, output_dir="out").is_up_to_date == is_same
        assert quick.plan(exposure, Path("out")).is_up_to_date == is_same
    record = find_record(Path(made[0]))
    (code,) = (row for row in record.dependencies.code if row["name"] == "cleaning")
    for product in made:
        history = "".join(fits.getheader(product)["HISTORY"])
        assert "snowblind.snowblind.SnowblindStep, inserted after jump" in history
        assert f"inserted after ramp_fit; code {code['sha256'][:12]}; level=0.25" in history
    assert main(["reproduce", made[0]]) == 0
    names = [Path(product).name for product in made]
    assert capsys.readouterr().out.splitlines()[-2:] == [f"{n}: bit-identical" for n in names]


@pytest.mark.slow
def test_of_jwst_is_the_same_by_hand(made, small, run_python):
    run_python(BY_HAND, small.program.exposures[0], "by_hand", CRDS_PATH=small.crds_path)
    for product in map(Path, made):
        with fits.open(product) as flow, fits.open(Path("by_hand", product.name)) as hand:
            for hdu in flow:
                if hdu.data is not None and hdu.name != "ASDF":
                    assert np.array_equal(hdu.data, hand[hdu.name].data, equal_nan=True), hdu.name


ROMAN = """
import sys

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
    assert record.remarks == (
        "unreached: did not run: inserted after source_catalog, which was not reached",
    )
    log = record.path.with_suffix("").with_suffix(".log").read_text()
    assert "step pedestal: cleaning.pedestal, inserted before refpix" in log
    import asdf

    with asdf.open(product) as file:
        logs = json.dumps(list(file["roman"]["meta"]["cal_logs"]))
    assert "step one_over_f: cleaning.OneOverF, inserted after rampfit" in logs
