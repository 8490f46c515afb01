"""What is up to date is not run again, and why the rest is."""

import json
import shutil
from importlib.metadata import version

import pytest

from stpipe_prefect import as_flow
from stpipe_prefect.exceptions import ParameterError, UsageError
from stpipe_prefect.provenance.record import find_record

pytestmark = pytest.mark.filterwarnings("default::Warning")  # jwst's and Prefect's own

DETECTOR1 = as_flow("calwebb_detector1")
AS_BEFORE = {"steps": {"jump": {"rejection_threshold": 7.0}}}


@pytest.fixture(scope="module")
def raw(small):
    return small.program.exposures[0]


@pytest.fixture
def made(detector1_run, tmp_path):
    """A copy of what a run made, with its record."""
    return shutil.copytree(detector1_run.products, tmp_path / "made")


def reasons(raw, folder, **changed):
    return list(DETECTOR1.plan(raw, output_dir=folder, **AS_BEFORE | changed).reasons)


def test_nothing_to_do(raw, made):
    plan = DETECTOR1.plan(raw, output_dir=made, **AS_BEFORE)
    assert plan.is_up_to_date and str(plan) == "up to date"
    assert [path.name.rpartition("_")[2] for path in plan.products] == [
        "rate.fits",
        "rateints.fits",
    ]
    assert json.dumps(plan.as_json())


def test_never_run(raw, tmp_path):
    assert reasons(raw, tmp_path) == ["no product"]


def test_products_made_without_the_association_are_not_replaced(raw, made, tmp_path):
    root = raw.name.removesuffix("_uncal.fits")
    members = [{"expname": str(raw), "exptype": "science"}]
    association = tmp_path / "one_asn.json"
    association.write_text(json.dumps({"products": [{"name": root, "members": members}]}))
    plan = DETECTOR1.plan(association, output_dir=made)
    assert plan.refusal == (
        f"{made}/{root}_rate.fits was made by calwebb_detector1 "
        f"({root}_uncal.calwebb_detector1.provenance.json) and would be replaced: "
        "choose another output folder, or replace with --overwrite"
    )
    for product in made.glob("*.fits"):
        product.unlink()
    assert str(DETECTOR1.plan(association, output_dir=made)) == "will run: no product"


def test_other_context_names_what_it_changes(raw, made):
    # its jump threshold of 6 does not matter: 7 was asked for
    assert reasons(raw, made, crds_context="jwst_0002.pmap") == ["reference gain 0001 → 0002"]
    assert reasons(raw, made, crds_context="jwst_0002.pmap", ignore=["references"]) == []


def test_other_parameter(raw, made):
    changed = {"steps": {"jump": {"rejection_threshold": 8.0}}}
    (reason,) = reasons(raw, made, **changed)
    assert reason.startswith("parameter jump.rejection_threshold 7.0 → 8.0")
    (reason,) = reasons(raw, made, steps={})
    assert reason.startswith("parameter jump.rejection_threshold 7.0 → 5.0")
    assert "pars-jumpstep 0001" in reason


def test_same_parameter_said_otherwise(raw, made):
    assert reasons(raw, made, **{"steps": {"jump": {"rejection_threshold": "7"}}}) == []


def test_flipped_byte(raw, made):
    product = next(made.glob("*_rate.fits"))
    content = bytearray(product.read_bytes())
    content[len(content) // 2] ^= 1
    product.write_bytes(content)  # it opens: it may be what somebody has made of it
    plan = DETECTOR1.plan(raw, output_dir=made, **AS_BEFORE)
    assert (plan.reasons, plan.is_up_to_date) == ((), False)
    assert plan.refusal.startswith(f"{product} was changed since calwebb_detector1 made it (")
    product.write_bytes(content[:-2880])
    assert reasons(raw, made) == [f"product {product.name} is damaged"]


def test_deleted_product(raw, made):
    product = next(made.glob("*_rateints.fits"))
    product.unlink()
    assert reasons(raw, made) == [f"product {product.name} is missing"]


def test_damaged_record(raw, made):
    record = next(made.glob("*.provenance.json"))
    record.write_text(record.read_text()[:1000])
    (reason,) = reasons(raw, made)
    assert reason.startswith("no provenance record, because ") and "(char " in reason


def test_changed_input(raw, made, tmp_path):
    other = tmp_path / raw.name
    other.write_bytes(raw.read_bytes() + bytes(2880))
    assert reasons(other, made) == [f"input {raw.name} changed"]
    assert reasons(other, made, ignore=["inputs"]) == []


def test_other_version(raw, made):
    record = next(made.glob("*.provenance.json"))
    content = json.loads(record.read_text())
    rows = {row["name"]: row for row in content["code"]}
    rows["jwst"]["version"] = rows["stcal"]["version"] = "0.9"
    record.write_text(json.dumps(content))
    assert reasons(raw, made) == [
        f"jwst 0.9 → {version('jwst')}",
        f"stcal 0.9 → {version('stcal')} (saturation, linearity, dark_current, jump, ramp_fit)",
    ]
    assert reasons(raw, made, ignore=["versions"]) == []


def test_unchanged_input_is_not_read_again(raw, made, monkeypatch):
    from stpipe_prefect.provenance import fingerprint

    monkeypatch.setattr(fingerprint, "sha256_of", lambda path: pytest.fail(f"{path} was read"))
    fingerprint._content.cache_clear()
    moved = find_record(next(made.glob("*.json")))  # the copies of the products are new files
    assert all(file.is_untouched for file in moved.dependencies.inputs)
    assert moved.dependencies.inputs[0].of(raw, moved.dependencies.inputs[0])


def test_wrong_requests(raw, made):
    with pytest.raises(UsageError, match=r"'version' cannot be ignored \(did you mean 'versions'"):
        reasons(raw, made, ignore=["version"])
    with pytest.raises(ParameterError, match="did you mean 'rejection_threshold'"):
        reasons(raw, made, steps={"jump": {"rejection_treshold": 8.0}})


def test_up_to_date_run_is_cached_and_overwriting_is_not(raw, detector1_run, run_flow):
    folder = detector1_run.products
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    state = DETECTOR1(raw, output_dir=folder, return_state=True, **AS_BEFORE)
    assert (state.name, state.type.value) == ("Cached", "COMPLETED")
    assert state.result() == detector1_run.state.result()
    assert before == {path: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_record_says_how_the_products_were_made(detector1_run, raw):
    record = find_record(next(detector1_run.products.glob("*_rate.fits")))
    assert record.problems(verify=True) == []
    assert record.run["flow_run"] == str(detector1_run.id)
    assert record.dependencies.context == "jwst_0001.pmap"
    assert [file.path for file in record.dependencies.inputs] == [str(raw)]
    outcomes = {row["step"]: row["outcome"] for row in record.steps}
    assert (outcomes["jump"], outcomes["charge_migration"]) == ("Completed", "Skipped")
    gain = [row for row in record.dependencies.references if row["type"] == "gain"]
    assert {len(row["sha1"]) for row in gain} == {40}
    assert len(record.dependencies.fingerprint) == 64


def test_pictures_and_times_are_artifacts(detector1_run):
    artifacts = detector1_run.get(
        "/artifacts/filter",
        {"artifacts": {"flow_run_id": {"any_": [str(detector1_run.id)]}}},
    )
    by_key = {artifact["key"]: artifact for artifact in artifacts}
    (picture,) = (each for each in artifacts if "_rate.fits" in (each["description"] or ""))
    assert picture["key"] is None  # else the server would store it three times
    assert "_rate.fits](data:image/webp;base64," in picture["data"]
    assert len(picture["data"]) < 100_000
    assert "| jump | Completed |" in by_key["time-per-step"]["data"]


def test_nothing_to_calibrate_is_an_outcome_of_its_own(run_flow, raw, monkeypatch):
    from jwst.dq_init import DQInitStep

    from stpipe_prefect.exceptions import NoScienceDataError

    def process(self, data):
        raise NoScienceDataError("all shutters are closed")

    monkeypatch.setattr(DQInitStep, "process", process)
    run = run_flow("calwebb_detector1", raw)
    assert (run.state.name, run.tasks()["dq_init"].state_name) == ("NoScience", "NoScience")
    with pytest.raises(NoScienceDataError):
        run.state.result()
