"""Real pipelines on the sample give its truth back, under either context."""

from pathlib import Path
from shutil import copy
from typing import Any

import pytest
from astropy.io import fits

from flows.sample import measure_flux_ratio, measure_recovery


@pytest.fixture(
    # Tests of other kinds have products of the second already, and README's command of the first.
    params=[pytest.param("jwst_0001.pmap", marks=pytest.mark.slow), "jwst_0002.pmap"]
)
def products(request: pytest.FixtureRequest, calibrated: Any) -> Any:
    return calibrated(request.param)


def test_truth_is_recovered(products: Any, truth: Path) -> None:
    recovery = measure_recovery(products.folder, truth)
    assert recovery.problems == []
    assert recovery.ok
    assert recovery.measures["cosmic_rays"].value == pytest.approx(1.0, abs=0.02)
    assert recovery.measures["offset"].value < 1.0
    assert recovery.measures["flux_ratio"].value == pytest.approx(1.0, abs=0.01)
    assert "100.0% of the stars found" in str(recovery)


def test_unflagged_pixels_are_a_problem(products: Any, truth: Path, tmp_path: Path) -> None:
    for product in products.folder.glob("*_cat.ecsv"):
        copy(product, tmp_path)
    for product in products.folder.glob("*_rate.fits"):
        with fits.open(copy(product, tmp_path), mode="update") as rate:
            rate["DQ"].data[:] = 0
    recovery = measure_recovery(tmp_path, truth)
    assert not recovery.ok
    assert recovery.problems == ["0.0% of cosmic rays flagged", "0.0% of saturated pixels flagged"]


def test_absent_catalogue_is_named(products: Any, truth: Path, tmp_path: Path) -> None:
    for product in products.folder.glob("*_rate.fits"):
        copy(product, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"_cat\.ecsv"):
        measure_recovery(tmp_path, truth)


def test_spectrum_of_the_star_in_the_slit_is_recovered(products: Any) -> None:
    (spectrum,) = products.folder.glob("*_x1d.fits")
    assert measure_flux_ratio(spectrum) == pytest.approx(1.0, abs=0.01)


def test_dark_pipeline_has_all_its_references(products: Any) -> None:
    (ramp,) = products.folder.glob("*_darkpipeline.fits")
    header = fits.getheader(ramp)
    for step in ("S_DQINIT", "S_SATURA", "S_IPC", "S_SUPERB", "S_REFPIX", "S_LINEAR"):
        assert header[step] == "COMPLETE"


def test_flight_acquisition_is_calibrated(products: Any) -> None:
    calibrated = list(products.folder.glob("*gs-acq1*_cal.fits"))
    if not calibrated:
        pytest.skip("the flight acquisition exposure is not at hand beside the checkout")
    header = fits.getheader(calibrated[0])
    assert header["CRDS_CTX"] == products.context
    for step in ("S_DQINIT", "S_GUICDS", "S_FLAT"):
        assert header[step] == "COMPLETE"
    assert fits.getdata(calibrated[0]).shape == (6, 128, 128)
