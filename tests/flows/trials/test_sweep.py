"""A sweep: which trials it makes, and how they are judged."""

import json
import re

import numpy as np
import pytest
from astropy.io import fits

from flows.trials.folders import Trial
from flows.trials.merit import DIFFERENCE, Judged, difference, judged, load_merit, telling
from flows.trials.page import table, write_page
from flows.trials.sweep import combinations
from stpipe_prefect.exceptions import StpipePrefectError, UsageError
from stpipe_prefect.provenance.record import find_record

pytestmark = pytest.mark.filterwarnings("default::Warning")  # Prefect's own


def test_values_make_trials_and_several_parameters_their_combinations():
    assert combinations(["steps.jump.rejection_threshold=3,4"]) == {
        "rejection_threshold=3": {"steps.jump.rejection_threshold": "3"},
        "rejection_threshold=4": {"steps.jump.rejection_threshold": "4"},
    }
    assert [*combinations(["steps.jump.skip=true", "steps.refpix.skip=true,false"])] == [
        "jump.skip=true,refpix.skip=true",
        "jump.skip=true,refpix.skip=false",
    ]
    assert [*combinations(["override_flat=a/b.fits"])] == ["override_flat=a_b.fits"]


@pytest.mark.parametrize(
    "sweeps", [["steps.jump.skip"], ["=1"], ["a=1,,2"], ["a=1,1"], ["a=1", "a=2"]]
)
def test_what_is_no_sweep_is_refused(sweeps):
    with pytest.raises(UsageError, match=r"--sweep"):
        combinations(sweeps)


MERIT = """
import json

def brightest(product):
    return max(json.loads(product.read_text())["data"]) if product.suffix == ".row" else None

def broken(product):
    raise ValueError("no idea")

number = 1
"""


@pytest.fixture
def merits(mission, monkeypatch):
    monkeypatch.syspath_prepend(mission)
    (mission / "merits_of_mine.py").write_text(MERIT)


@pytest.fixture
def swept(base, calibrate):
    trials = {f"high={high:g}": Trial(base, f"high={high:g}").folder for high in (20.0, 40.0)}
    for high, folder in zip((20.0, 40.0), trials.values(), strict=True):
        calibrate(folder, clip={"high": high})
        record = find_record(folder / "one_cal.row")
        text = json.loads(record.path.read_text())
        text["statistics"] = {"one_cal.row": {"sky": high / 10, "sources": 1}}
        record.path.write_text(json.dumps(text))
    return trials


def test_trials_are_judged_by_statistics_and_by_a_function_of_ones_own(
    base, swept, merits, tmp_path
):
    found = judged(base, swept, "merits_of_mine:brightest", ["steps.clip.high"])
    assert [trial.name for trial in found] == ["base", *swept]
    brightest = [trial.figures["merits_of_mine:brightest"] for trial in found]
    folders = (base, *swept.values())
    rows = [json.loads((folder / "one_cal.row").read_text())["data"] for folder in folders]
    assert brightest == [max(row) for row in rows] and brightest[1] < brightest[2]
    assert [trial.figures.get("cal sky") for trial in found] == [None, 2.0, 4.0]
    assert "cal sources" not in telling(found[1:])
    assert [*table(found, "merits_of_mine:brightest").columns][1].header == (
        "merits_of_mine:brightest"
    )
    write_page(found, ["clip.high"], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "Trials of clip.high" in page and "high=20: 2" in page
    assert not re.search(r"<script|https?://", page)
    assert [trial.values["steps.clip.high"] for trial in found[1:]] == ["20.0", "40.0"]
    assert '<a href="high%3D20/">' in page and '<a href="../">' in page


def test_figures_of_the_base_alone_are_left_out_and_changes_are_relative_to_it(tmp_path):
    base = Judged("base", {"rate sky": 2.0, "cal sky": 5.0})
    trials = [base, Judged("a", {"rate sky": 2.01, f"rate {DIFFERENCE}": 0.0})]
    assert telling(trials) == ["rate sky", f"rate {DIFFERENCE}"]
    write_page(trials, ["clip.high"], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "a: 2.01 (+0.50%)" in page and "cal sky" not in page


def test_trial_that_is_identical_differs_from_the_base_by_nothing(tmp_path):
    write = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones((2, 2)), name="SCI")]).writeto
    ours, same, linked = (tmp_path / name / "one_rate.fits" for name in ("x", "y", "z"))
    for path in (ours, same, linked):
        path.parent.mkdir()
    write(ours)
    write(same)
    linked.hardlink_to(ours)
    assert [difference(ours, path) for path in (ours, same, linked)] == [None, 0.0, 0.0]


@pytest.mark.parametrize(
    ("merit", "problem"),
    [
        ("merits_of_mine", "expected MODULE:FUNCTION"),
        ("merits_of_mine:absent", "cannot be imported"),
        ("merits_of_nobody:any", "cannot be imported"),
        ("merits_of_mine:number", "is no function, but a int"),
    ],
)
def test_merit_that_is_no_function_is_refused(merits, merit, problem):
    with pytest.raises(UsageError, match=problem):
        load_merit(merit)


def test_merit_that_fails_is_named_with_the_product(base, merits):
    with pytest.raises(StpipePrefectError, match=r"broken: .*one_cal\.row: no idea"):
        judged(base, {}, "merits_of_mine:broken")
