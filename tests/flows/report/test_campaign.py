"""The commands that calibrate write a report, and leave what one is made from."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from records import rows_of

from flows.compare.main import main as compare
from flows.report.main import main as report


@pytest.fixture(scope="module")
def run(user, small):
    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "flows.calwebb", *map(str, arguments)],
            env=user | {"CRDS_PATH": str(small.crds_path)},
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture(scope="module")
def calibrated(run, small, tmp_path_factory):
    """What comes of one exposure that is whole, and one that is not."""
    folder = tmp_path_factory.mktemp("night")
    whole, other = small.program.exposures[:2]
    (folder / "raw").mkdir()
    exposure = Path(shutil.copy(whole, folder / "raw"))
    (folder / "raw" / other.name).write_bytes(other.read_bytes()[:60_000])
    page = folder / "pages" / "report.html"
    done = run(folder / "raw", "--output-dir", folder / "products", "--report", page)
    return SimpleNamespace(
        done=done, page=page, products=folder / "products", exposure=exposure, broken=other.name
    )


def test_report_has_what_was_made_and_what_failed(calibrated):
    assert calibrated.done.returncode == 1
    assert f"report: {calibrated.page}" in calibrated.done.stdout
    rows = rows_of(calibrated.page)
    good, broken = rows[calibrated.exposure.name], rows[calibrated.broken]
    assert broken["outcome"] == "Failed" and "truncated" in broken["failure"]
    assert [run["pipeline"] for run in good["runs"]] == ["calwebb_detector1", "calwebb_image2"]
    assert good["facts"].startswith("NIRCAM NRCB1 F200W")
    assert "inputs that failed leave no record" not in calibrated.page.read_text()
    for run in good["runs"]:
        assert (calibrated.page.parent / run["record"]).is_file()
        assert all((calibrated.page.parent / each["link"]).is_file() for each in run["products"])


def test_products_have_quick_looks_headers_and_statistics_beside_them(calibrated):
    (path,) = calibrated.products.glob("*.calwebb_detector1.provenance.json")
    record = json.loads(path.read_text())
    (rate,) = (name for name in record["headers"] if name.endswith("_rate.fits"))
    header = record["headers"][rate]
    assert (header["instrument"], header["filter"]) == ("NIRCAM", "F200W")
    assert header["s_region"].startswith("POLYGON ICRS")
    assert {"column_outlier", "background_scatter"} <= record["statistics"][rate].keys()
    assert {row["model"] for row in record["steps"] if row["step"] == "gain_scale"} <= {
        "ImageModel",
        "CubeModel",
    }
    (path,) = calibrated.products.glob("*.calwebb_detector1.quicklook.json")
    looks = json.loads(path.read_text())
    assert looks[rate]["kind"] == "image" and len(looks[rate]["jpeg"]) < 14_000
    assert path.name not in {each["path"] for each in record["products"]}


def test_quick_looks_are_no_products(calibrated, run, tmp_path):
    """They neither count when planning, nor when folders are compared."""
    other = tmp_path / "products"
    shutil.copytree(calibrated.products, other, copy_function=shutil.copy2)
    for path in calibrated.products.glob("*.quicklook.json"):
        path.unlink()
    arguments = (calibrated.exposure, "--output-dir", calibrated.products, "--plan")
    planned = run(*arguments, "--html", tmp_path / "plan.html")
    assert "0 of 2 will run" in planned.stdout
    assert "0 of 2 will run" in (tmp_path / "plan.html").read_text()
    assert compare([str(calibrated.products), str(other)]) == 0
    assert report([str(calibrated.products), "--output", str(tmp_path / "r.html")]) == 0
    assert not rows_of(tmp_path / "r.html")[calibrated.exposure.name]["runs"][0]["products"][0][
        "look"
    ]


def test_what_is_up_to_date_is_in_the_report_too(calibrated, run, tmp_path):
    page = tmp_path / "again.html"
    arguments = (calibrated.exposure, "--output-dir", calibrated.products)
    assert run(*arguments, "--report", page).returncode == 0
    assert len(rows_of(page)[calibrated.exposure.name]["runs"]) == 2


def test_report_lists_what_is_refused_though_nothing_can_run(run, tmp_path):
    (tmp_path / "a_uncal.fits").write_text("no FITS")
    page = tmp_path / "report.html"
    out = ("--output-dir", tmp_path / "products")
    done = run(tmp_path / "a_uncal.fits", *out, "--report", page)
    assert done.returncode == 1 and f"report: {page}" in done.stdout
    assert "not a FITS file" in rows_of(page)["a_uncal.fits"]["failure"]


def test_a_page_that_cannot_be_written_is_refused_before_anything_runs(calibrated, run, tmp_path):
    out = ("--output-dir", tmp_path / "products")
    done = run(calibrated.exposure, *out, "--report", tmp_path)
    assert done.returncode == 1 and "this is a folder, name a file" in done.stderr
    (tmp_path / "file").touch()
    done = run(calibrated.exposure, *out, "--report", tmp_path / "file" / "report.html")
    assert done.returncode == 1 and "the page cannot be written" in done.stderr
    assert not (tmp_path / "products").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--html", "x.html"], "--html goes with --plan"),
        (["--plan", "--report", "x"], "--report is"),
    ],
)
def test_options_that_do_not_go_together(calibrated, run, options, message):
    done = run(calibrated.exposure, *options)
    assert done.returncode == 2 and message in done.stderr
