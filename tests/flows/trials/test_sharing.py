"""A trial shares with the base and other trials what it would only make again."""

import json
import shutil

import pytest

from flows.trials.folders import Trial
from stpipe_prefect.exceptions import UsageError
from stpipe_prefect.provenance.record import find_record, log_path, looks_path

pytestmark = pytest.mark.filterwarnings("default::Warning")  # Prefect's own


@pytest.fixture
def plan(campaign):
    def make(trial=None, **steps):
        (job,) = campaign(trial, **steps).planned()
        return str(job.plans[0])

    return make


def test_same_products_are_shared_with_all_that_lies_beside_them(base, campaign):
    looks_path(find_record(base / "one_cal.row").path).write_text("{}")
    shared = Trial(base, "a")
    assert campaign(shared).up_to_date()
    product = shared.folder / "one_cal.row"
    assert product.read_bytes() == (base / "one_cal.row").read_bytes()
    record, of_base = find_record(product), find_record(base / "one_cal.row")
    assert record.shared == "base" and not of_base.shared
    assert record.dependencies.fingerprint == of_base.dependencies.fingerprint
    assert log_path(record.path).read_text() == log_path(of_base.path).read_text()
    assert looks_path(record.path).read_text() == "{}"
    assert not record.problems(verify=True)
    assert json.loads(record.path.read_text())["products"][0]["path"] == "one_cal.row"


def test_plans_of_base_and_trial_read_no_product(base, shared, campaign, plan, opened):
    for _ in range(2):
        with opened() as files:
            assert plan(shared) == "shared with base"
            assert plan() == "up to date"
        assert [file for file in files if file.endswith("_cal.row")] == []
        shutil.rmtree(base / "trials/b", ignore_errors=True)  # a link less
        assert campaign(Trial(base, "b")).up_to_date()
        shutil.rmtree(base / "trials/b")


def test_other_parameters_are_computed_and_shared_among_trials(base, calibrate, campaign, plan):
    one, other = Trial(base, "one"), Trial(base, "other")
    assert plan(one, clip={"low": "2.0"}) == "will run: no product"
    assert campaign(one, clip={"low": "2.0"}).up_to_date() == []
    assert not (one.folder / "one_cal.row").exists()
    calibrate(one.folder, clip={"low": 2.0})
    assert plan(other, clip={"low": "2.0"}) == "shared with trials/one"
    assert campaign(other, clip={"low": "2.0"}).up_to_date()
    assert plan(one, clip={"low": "2.0"}) == "up to date"


def test_trial_that_is_made_again_leaves_the_base_alone(base, shared, calibrate, plan):
    before = (base / "one_cal.row").read_bytes()
    calibrate(shared.folder, clip={"low": 30.0})
    assert (base / "one_cal.row").read_bytes() == before
    assert (shared.folder / "one_cal.row").read_bytes() != before
    assert plan() == "up to date"
    assert plan(shared, clip={"low": "30.0"}) == "up to date"
    assert plan(shared) == "shared with base"


def test_product_of_the_base_that_was_changed_is_not_shared(base, plan):
    with (base / "one_cal.row").open("a") as file:
        file.write("\n")
    assert plan(Trial(base, "a")) == "will run: no product"


def test_plan_shares_nothing_yet(base, plan):
    assert plan(Trial(base, "a")) == "shared with base"
    assert not (base / "trials").exists() and not (base / ".shared").exists()


def test_step_whose_parameters_differ_gets_a_checkpoint_before_it(base, campaign):
    checkpoints = campaign(Trial(base, "a"), clip={"low": "2.0"}).checkpoints
    assert [*checkpoints.values()] == [["before clip"]]


@pytest.mark.parametrize("name", ["", "a/b", "..", ".a", " a", "a\n", "-a", "base"])
def test_name_that_is_none_of_a_folder_is_refused(name, tmp_path):
    with pytest.raises(UsageError, match=r"trial .*: (expected the name of a folder|lists call)"):
        Trial(tmp_path, name)
