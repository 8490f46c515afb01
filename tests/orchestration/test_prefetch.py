"""Reference files in a flow run: fetched beside the work, and by nobody else."""

import json
from collections import Counter
from pathlib import Path
from shutil import copytree

import crds
import loopback
import pytest
from astropy.io import fits
from crds.core import utils
from loopback import LoopbackCrds

from stpipe_prefect import as_flow
from stpipe_prefect.exceptions import NoReferenceFileError
from stpipe_prefect.orchestration.artifacts import recording_for_batch
from stpipe_prefect.provenance.record import read_record
from stpipe_prefect.references.cache import prefetch
from stpipe_prefect.references.reference import ReferenceFile
from stpipe_prefect.registry import find_step

pytestmark = pytest.mark.filterwarnings("default::Warning")  # jwst's and Prefect's own

SLOW = "jwst_nircam_readnoise_0001.fits"  # for jump and ramp_fit, near the end


@pytest.fixture(scope="module")
def server(small):
    with LoopbackCrds(small.crds_path).running() as running:
        yield running


@pytest.fixture(scope="module")
def cold_run(run_flow, small, server, tmp_path_factory):
    """A run on an empty cache, with one slow download."""
    folder = tmp_path_factory.mktemp("cold")
    server.manners[SLOW] = loopback.slowly(4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRDS_PATH", str(folder))
        patch.setenv("CRDS_SERVER_URL", server.url)
        patch.setattr("stpipe_prefect.orchestration.artifacts.LONG_DOWNLOAD", 0.5)
        utils.clear_function_caches()
        run = run_flow(
            "calwebb_detector1",
            small.program.exposures[0],
            steps={"jump": {"rejection_threshold": 7.0}},
        )
    utils.clear_function_caches()
    server.manners.clear()
    assert run.state.is_completed(), run.state.message
    return run


def tables(run):
    only = {"artifacts": {"flow_run_id": {"any_": [str(run.id)]}}}
    return list(run.get("/artifacts/filter", only))


def test_every_file_is_asked_for_once(cold_run, server):
    assert set(server.files_asked.values()) == {1}
    (table,) = (each for each in tables(cold_run) if each["key"] == "references")
    rows = [row for row in json.loads(table["data"]) if row["file"] != "N/A"]
    files = {row["file"] for row in rows}
    # Of two steps with the same file, the one that comes late finds it there.
    assert {row["file"] for row in rows if row["from"] == "fetched"} == files
    assert files < set(server.files_asked)
    assert "jwst_0001.pmap" in table["description"]
    assert server.url in table["description"]


def test_steps_begin_while_later_files_still_download(cold_run, server):
    tasks = cold_run.tasks()
    _, arrived = server.times[SLOW]
    assert tasks["dq_init"].start_time.timestamp() < arrived
    assert tasks["saturation"].start_time.timestamp() < arrived
    assert tasks["jump"].start_time.timestamp() > arrived


def test_long_download_has_a_progress_bar(cold_run):
    bars = [each for each in tables(cold_run) if each["type"] == "progress"]
    assert [bar["description"] for bar in bars] == [f"Fetching {SLOW}"]
    assert bars[0]["data"] == 100.0


def test_products_record_the_same_references_as_without_a_server(cold_run, detector1_run):
    names = sorted(path.name for path in cold_run.products.glob("*.fits"))
    assert len(names) == 2
    for name in names:
        cold, warm = (recorded(run.products / name) for run in (cold_run, detector1_run))
        assert cold == warm
        assert cold["CRDS_CTX"] == "jwst_0001.pmap"
        assert cold["R_DARK"] == "crds://jwst_nircam_dark_0001.fits"


def test_damaged_reference_stops_the_run_before_a_step_uses_it(
    run_flow, small, crds_path, tmp_path, monkeypatch
):
    monkeypatch.setenv("CRDS_PATH", str(copytree(crds_path, tmp_path / "crds")))
    utils.clear_function_caches()
    dark = ReferenceFile("jwst_nircam_dark_0001.fits", "dark", "jwst", "jwst_0001.pmap")
    good = prefetch(dark).path.read_bytes()
    dark.path.write_bytes(good[:-3000] + bytes([good[-3000] ^ 1]) + good[-2999:])
    run = run_flow("calwebb_detector1", small.program.exposures[0])
    monkeypatch.undo()
    utils.clear_function_caches()
    assert run.state.is_failed()
    assert "dark reference jwst_nircam_dark_0001.fits (jwst_0001.pmap) for jw" in run.state.message
    assert "dark_current" not in run.tasks()
    assert not list(run.products.iterdir())


def test_step_that_asks_for_more_than_it_declares_gets_it(
    run_flow, small, server, tmp_path, monkeypatch
):
    from jwst.stpipe import Pipeline, Step

    class CuriousStep(Step):
        class_alias = "curious"
        reference_file_types = ("gain",)

        def process(self, data):
            with self.prepare_output(data) as model:
                self.get_reference_file(model, "gain")
                self.get_reference_file(model, "flat")
                return model

    class CuriousPipeline(Pipeline):
        class_alias = "calwebb_curious"
        step_defs = {"curious": CuriousStep}

        def process(self, data):
            return self.curious.run(data)

    monkeypatch.setenv("CRDS_PATH", str(tmp_path / "crds"))
    monkeypatch.setenv("CRDS_SERVER_URL", server.url)
    before = dict(server.asked)
    run = run_flow(CuriousPipeline, small.program.exposures[0])
    assert run.state.is_completed(), run.state.message
    for name in ("jwst_nircam_gain_0001.fits", "jwst_nircam_flat_0001.fits"):
        assert server.asked[name] == before.get(name, 0) + 1
    record = read_record(next(run.products.glob("*.provenance.json")))
    asked = {row["type"]: row for row in record.dependencies.references if row.get("asked")}
    assert (asked["flat"]["step"], len(asked["flat"]["sha1"])) == ("curious", 40)
    assert (asked["flat"]["file"], asked.keys()) == ("jwst_nircam_flat_0001.fits", {"flat"})
    (table,) = (each for each in tables(run) if each["key"] == "references")
    rows = json.loads(table["data"])
    assert {"curious"} == {row["step"] for row in rows if row["from"] == "asked for by the step"}


def recorded(path: Path):
    header = fits.getheader(path)
    return {key: header[key] for key in header if key.startswith(("R_", "CRDS_"))}


@pytest.mark.usefixtures("mission", "prefect_server")
def test_run_selects_each_reference_file_once(monkeypatch):
    selected = Counter()

    def spy(parameters, reftypes, **options):
        selected.update(reftypes)
        return original(parameters, reftypes=reftypes, **options)

    original = crds.getrecommendations
    monkeypatch.setattr(crds, "getrecommendations", spy)
    flow = as_flow("lantern.pipelines.CalibratePipeline")
    parameter_files = {f"pars-{name}step" for name in ("dark", "flat", "clip")}
    expected = dict.fromkeys({"dark", "flat", "pars-calibratepipeline", *parameter_files}, 1)
    assert flow("one_raw.row") == ["one_cal.row"]
    assert selected == expected
    selected.clear()
    flow("one_raw.row", steps={"clip": {"low": 2.0}})  # compared with the first run, too
    assert selected == expected


@pytest.mark.usefixtures("mission", "prefect_server")
def test_run_names_all_missing_references_before_it_begins(lantern_cache, tmp_path, monkeypatch):
    cache = copytree(lantern_cache, tmp_path / "crds")
    monkeypatch.setenv("CRDS_PATH", str(cache))
    utils.clear_function_caches()
    for kind in ("dark", "flat"):
        (cache / f"references/jwst/nircam/jwst_nircam_{kind}_0001.json").unlink()
    flow = as_flow("lantern.pipelines.CalibratePipeline")
    missing = (
        "dark reference jwst_nircam_dark_0001.json (jwst_0001.pmap) for this exposure and "
        "flat reference jwst_nircam_flat_0001.json (jwst_0001.pmap) for this exposure are not in "
        "the CRDS cache; set CRDS_SERVER_URL to fetch them"
    )
    for run in (flow, find_step("lantern.pipelines.CalibratePipeline").call):
        with pytest.raises(NoReferenceFileError) as error:
            run("one_raw.row")
        assert str(error.value) == missing
    assert flow.plan("one_raw.row").refusal == missing
    skipped = {"dark": {"skip": True}, "flat": {"skip": True}}
    assert not flow.plan("one_raw.row", steps=skipped).refusal


@pytest.mark.usefixtures("mission")
def test_a_batch_has_prefetch_tasks_only_for_files_that_are_not_there(
    run_flow, lantern_cache, tmp_path, monkeypatch
):
    cache = copytree(lantern_cache, tmp_path / "crds")
    monkeypatch.setenv("CRDS_PATH", str(cache))
    (cache / "references/jwst/nircam/jwst_nircam_dark_0001.json").unlink()
    pipeline = "lantern.pipelines.CalibratePipeline"
    with LoopbackCrds(lantern_cache).running() as server, recording_for_batch(True):
        monkeypatch.setenv("CRDS_SERVER_URL", server.url)
        utils.clear_function_caches()
        run = run_flow(pipeline, "one_raw.row")
        assert run.tasks().keys() == {"prefetch dark", "dark", "flat", "clip"}
        run = run_flow(pipeline, "one_raw.row", overwrite=True)
        assert run.tasks().keys() == {"dark", "flat", "clip"}
    record = read_record(next(run.products.glob("*.provenance.json")))
    files = {row["file"] for row in record.dependencies.references}
    assert {"jwst_nircam_dark_0001.json", "jwst_nircam_flat_0001.json"} <= files


@pytest.mark.usefixtures("mission", "prefect_server")
def test_run_makes_its_steps_once_also_after_planning(tmp_path):
    flow = as_flow("lantern.pipelines.CalibratePipeline")
    flow("one_raw.row")
    flow("one_raw.row", steps={"clip": {"low": 2.0}})  # planned by comparing with the first run
    log = (tmp_path / "one_raw.lantern_calibrate.log").read_text()
    assert log.count("ClipStep instance created") == 1
