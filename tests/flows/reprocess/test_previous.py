"""Products that others take the place of are kept, and only those."""

import pytest

from flows.calibrate.job import Job
from flows.calwebb.mission import JWST
from flows.reprocess.previous import previous_products
from flows.reprocess.survey import Item
from stpipe_prefect.provenance.plans import Plan


@pytest.fixture
def item(tmp_path):
    products = (tmp_path / "1_rate.fits", tmp_path / "1_rateints.fits")
    for path in products:
        path.write_text("old")
    plan = Plan("1_uncal.fits", "calwebb_detector1", ("a reason",), products)
    return Item(Job(tmp_path / "1_uncal.fits", (plan.pipeline,), plans=(plan,)), JWST, "")


def replace(path):
    new = path.with_name("new")
    new.write_text("new one")
    new.replace(path)


def kept(folder):
    return {path.name: path.read_text() for path in (folder / "previous" / "now").iterdir()}


def test_replaced_ones_are_kept(item, tmp_path):
    with previous_products([item], "now"):
        replace(tmp_path / "1_rate.fits")
    assert kept(tmp_path) == {"1_rate.fits": "old"}
    assert (tmp_path / "1_rate.fits").read_text() == "new one"


def test_they_are_kept_whatever_happens(item, tmp_path):
    def calibrate():
        replace(tmp_path / "1_rate.fits")
        raise RuntimeError

    with pytest.raises(RuntimeError), previous_products([item], "now"):
        calibrate()
    assert kept(tmp_path) == {"1_rate.fits": "old"}


def test_nothing_replaced_leaves_no_folder(item, tmp_path):
    with previous_products([item], "now"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1_rate.fits", "1_rateints.fits"]
