"""Planning thousands of exposures of which nothing is to be done, or all."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from stpipe_prefect.provenance.record import find_record, record_path, run_name
from stpipe_prefect.registry import find_step

LIMIT = 0.010  # seconds for each exposure

pytestmark = pytest.mark.filterwarnings("default::Warning")


@pytest.mark.parametrize("exposures", [1_000, 10_000])
def test_plan_of_thousands(exposures, small_exposure, tmp_path, environment, held, monkeypatch):
    """Time the plan of what was made once, under the names of many exposures."""
    from prefect.settings import temporary_settings

    from stpipe_prefect import as_flow
    from stpipe_prefect.orchestration.plan import Planner
    from stpipe_prefect.orchestration.request import Request

    raw, crds_path = small_exposure
    monkeypatch.setenv("CRDS_PATH", str(crds_path))
    monkeypatch.setenv("PREFECT_HOME", environment["PREFECT_HOME"])
    with temporary_settings():
        as_flow("calwebb_detector1")(raw, output_dir=tmp_path)
    inputs = [_as_made(raw, tmp_path, number) for number in range(exposures)]
    pipeline = find_step("calwebb_detector1")
    for context, limit in ((None, LIMIT), ("jwst_0002.pmap", 6 * LIMIT)):
        begun = time.monotonic()
        with Planner(Request(pipeline, {}), crds_context=context) as planner:
            plans = [planner.plan(str(path), tmp_path) for path in inputs]
        seconds = time.monotonic() - begun
        same = sum(plan.is_up_to_date for plan in plans)
        assert same == (0 if context else exposures)
        name = f"plan of {exposures} exposures, {same} up to date"
        held(name, seconds, limit=limit * exposures, unit="s")


def _as_made(raw: Path, folder: Path, number: int) -> Path:
    """Copy an exposure, its products and record under another name."""
    from dataclasses import replace

    from stpipe_prefect.provenance.fingerprint import FileContent

    exposure = folder / f"e{number:05d}_uncal.fits"
    shutil.copy(raw, exposure)
    record = find_record(record_path(folder, run_name(raw.name, "calwebb_detector1")))
    products = []
    for product in record.products:
        path = folder / f"e{number:05d}_{Path(product.path).name.rpartition('_')[2]}"
        shutil.copy(product.path, path)
        products.append(path)
    replace(
        record,
        path=record_path(folder, run_name(exposure.name, "calwebb_detector1")),
        dependencies=replace(record.dependencies, inputs=[FileContent.of(exposure)]),
        products=[FileContent.of(path) for path in products],
    ).write(by_way_of=folder / "..")
    return exposure
