"""The log beside the products: all that the steps of a run say, and nothing of other runs."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from lantern.model import Row
from lantern.steps import ClipStep

from stpipe_prefect import as_flow
from stpipe_prefect.cli.main import main
from stpipe_prefect.provenance.record import find_record

pytestmark = pytest.mark.filterwarnings("default::Warning")  # jwst's and Prefect's own


def log_of(folder):
    (path,) = folder.glob("*.log")
    return path.read_text().splitlines()


def test_log_of_a_jwst_run(detector1_run, capsys):
    record = find_record(next(detector1_run.products.glob("*_rate.fits")))
    assert record.run["log"] == f"{record.run['name']}.log"
    assert [p.path for p in record.products if p.path.endswith(".log")] == []
    lines = log_of(detector1_run.products)
    (line,) = [line for line in lines if "Step jump running with args" in line]
    assert " - stpipe.step - INFO - " in line
    assert any(" - stcal.jump." in line for line in lines)
    assert any("CRDS" in line for line in lines)
    assert main(["provenance", str(record.path)]) == 0
    assert f"  log {record.run['log']}\n" in capsys.readouterr().out


def test_runs_in_two_threads_have_each_its_own_lines(prefect_server, mission, monkeypatch):
    together = threading.Barrier(2, timeout=60)
    clip = ClipStep.process

    def process(self, row):
        together.wait()
        for _ in range(20):
            logging.getLogger("lantern.steps").info("clipping %s", row.meta.filename)
        return clip(self, row)

    monkeypatch.setattr(ClipStep, "process", process)
    # The context is in the environment: threads of one process share it.
    monkeypatch.setenv("CRDS_CONTEXT", "jwst_0001.pmap")
    Row([1.0, 2.0]).save("two_raw.row")
    calibrate = as_flow("lantern.pipelines.CalibratePipeline")
    with ThreadPoolExecutor() as threads:
        runs = [
            threads.submit(calibrate, f"{name}_raw.row", output_dir=mission / name)
            for name in ("one", "two")
        ]
        assert [len(run.result()) for run in runs] == [1, 1]
    for name in ("one", "two"):
        said = [line for line in log_of(mission / name) if "clipping" in line]
        assert len(said) == 20 and all(f"{name}_raw.row" in line for line in said)
    assert logging.getLogger("lantern").handlers == []


def test_failed_run_leaves_the_log_of_the_last_good_one(prefect_server, mission, monkeypatch):
    calibrate = as_flow("lantern.pipelines.CalibratePipeline")
    calibrate("one_raw.row", output_dir="out")
    before = log_of(mission / "out")

    def process(self, row):
        raise OSError("too dark")

    monkeypatch.setattr(ClipStep, "process", process)
    with pytest.raises(OSError, match="too dark"):
        calibrate("one_raw.row", output_dir="out", overwrite=True)
    assert log_of(mission / "out") == before
    assert not any("too dark" in line for line in before)
