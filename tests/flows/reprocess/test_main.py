"""The command as a user runs it."""

import json
import os
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from records import rows_of
from stdatamodels.jwst.datamodels.dqflags import pixel

from flows.compare.main import main as compare
from flows.reprocess.main import main

NOWHERE = {"PREFECT_API_URL": "http://127.0.0.1:9/api"}
"""A Prefect server that does not answer: for what needs none."""


def test_plan_says_what_is_stale_and_runs_nothing(command, archive):
    before = archive.times()
    done = command(archive.folder, "--plan", "--context", "jwst_0002.pmap", **NOWHERE)
    assert done.returncode == 0, done.stderr
    first, *reasons, last = done.stdout.splitlines()
    assert first.startswith(f"{archive.image}: ") and "reference gain 0001 → 0002" in first
    assert len(reasons) == 3
    assert last == "1 of 2 stale under jwst_0002.pmap: 0 done, 0 failed, 1 left"
    assert archive.times() == before


@pytest.fixture(scope="module")
def reprocessed(command, calibrated, tmp_path_factory):
    """An archive brought to the second context; when its files were written before and after."""
    folder = tmp_path_factory.mktemp("reprocessed") / "archive"
    archive = replace(calibrated, folder=shutil.copytree(calibrated.folder, folder))
    before = archive.times()
    page = folder.parent / "report.html"
    options = ("--context", "jwst_0002.pmap", "--keep-previous", "--json", "--report", page)
    done = command(archive.folder, *options)
    assert (done.returncode, done.stderr) == (0, "")
    return SimpleNamespace(
        archive=archive,
        report=json.loads(done.stdout),
        before=before,
        after=archive.times(),
        page=page,
    )


def test_only_what_is_stale_is_made_anew_and_the_old_is_kept(command, reprocessed):
    archive, before, after = reprocessed.archive, reprocessed.before, reprocessed.after
    report = reprocessed.report
    assert (report["done"], report["left"], report["failed"]) == ([str(archive.image)], [], {})
    products = {path for path in before if path.parent == archive.image.parent}
    changed = {path for path in before if after[path] != before[path]}
    assert changed == products - {archive.image}
    kept = {path.name: time for path, time in after.items() if "previous" in path.parts}
    assert kept == {path.name: before[path] for path in changed}

    again = command(archive.folder, "--context", "jwst_0002.pmap", **NOWHERE)
    assert again.returncode == 0, again.stderr
    assert again.stdout == "0 of 2 stale under jwst_0002.pmap: 0 done, 0 failed, 0 left\n"


def test_page_is_about_the_whole_archive(reprocessed):
    rows = rows_of(reprocessed.page)
    archive = reprocessed.archive
    assert rows.keys() == {archive.image.name, archive.dark.name}
    assert {run["context"] for run in rows[archive.image.name]["runs"]} == {"jwst_0002.pmap"}
    assert rows[archive.image.name]["outcome"] == "Completed"
    assert "inputs that failed leave no record" not in reprocessed.page.read_text()


def test_page_of_an_archive_in_which_nothing_can_be_done(command, tmp_path):
    (tmp_path / "archive").mkdir()
    page = tmp_path / "pages" / "report.html"
    done = command(tmp_path / "archive", "--report", page, **NOWHERE)
    assert (done.returncode, done.stderr) == (0, "") and rows_of(page) == {}
    (tmp_path / "archive" / "a_uncal.fits").write_text("no FITS")
    assert command(tmp_path / "archive", "--report", page, **NOWHERE).returncode == 1
    assert "not a FITS file" in rows_of(page)["a_uncal.fits"]["failure"]


def test_compare_names_the_causes_and_counts_as_numpy_does(reprocessed, capsys):
    folder = reprocessed.archive.image.parent
    (old,) = folder.glob("previous/*/*_cal.fits")
    new = folder / old.name
    assert compare([str(old), str(new), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [(cause["pipeline"], cause["text"]) for cause in found["causes"]] == [
        (
            "calwebb_detector1",
            "parameter jump.rejection_threshold 5.0 → 6.0 "
            "(CRDS step file pars-jumpstep 0001 → 0002)",
        ),
        ("calwebb_detector1", "reference gain 0001 → 0002"),
        ("calwebb_image2", "reference flat 0001 → 0002"),
    ]
    parts = {part["name"]: part for part in found["parts"]}
    changes = {change["name"]: change["b"] for change in parts["PRIMARY"]["changes"]}
    assert changes["R_FLAT"] == "crds://jwst_nircam_flat_0002.fits"
    assert parts["ASDF"]["identical"] and parts["meta.wcs"]["identical"]

    with fits.open(old) as one, fits.open(new) as other:
        a, b, err = (
            hdu.data.astype("f8").ravel() for hdu in (one["SCI"], other["SCI"], one["ERR"])
        )
        before, after = (hdus["DQ"].data for hdus in (one, other))
    differ = ~((a == b) | (np.isnan(a) & np.isnan(b)))
    delta, err = np.abs(b - a)[differ], err[differ]
    figures = parts["SCI"]["figures"]
    assert (figures["total"], figures["differing"]) == (a.size, differ.sum())
    assert figures["one_sided"] == np.isnan(delta).sum()
    assert figures["largest"] == np.nanmax(delta)
    assert figures["median"] == np.nanmedian(delta)
    assert figures["largest_in_err"] == pytest.approx(np.nanmax(delta / err), rel=1e-12)
    assert figures["median_in_err"] == pytest.approx(np.nanmedian(delta / err), rel=1e-12)
    gained, lost = after & ~before, before & ~after
    flags = {name: bit for name, bit in pixel.items() if bit}
    assert {name: tuple(flag.values()) for name, flag in parts["DQ"]["flags"].items()} == {
        name: counts
        for name, bit in flags.items()
        if any(counts := (np.count_nonzero(gained & bit), np.count_nonzero(lost & bit)))
    }

    assert compare([str(old.parent), str(folder)]) == 1
    text = capsys.readouterr().out
    assert "calwebb_image2" in text and "reference flat 0001 → 0002" in text
    assert "only in B" in text


@pytest.mark.slow
def test_limit_and_failure(command, archive):
    """One that fails does not use the limit up, and the next run does what is left."""
    os.truncate(archive.image, archive.image.stat().st_size - 2880)
    (dark,) = archive.folder.rglob("*_darkpipeline.fits")
    dark.unlink()
    done = command(archive.folder, "--limit", "1")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == (
        "1 of 2 stale under jwst_0001.pmap: 1 done, 1 failed, 0 left"
    )
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"reprocess: {archive.image}: truncated")
    assert dark.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["no"], 1, "no: no such folder or list of exposures"),
        ([".", "--limit", "none"], 2, "expected a number of exposures, not 'none'"),
        ([".", "--context", "new"], 1, "'new' is not a context"),
        ([".", "--context", "roman_0002.pmap"], 2, "holds exposures of jwst alone"),
    ],
)
def test_wrong_usage_is_one_line(crds, tmp_path, monkeypatch, capfd, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jw01234001001_02101_00001_nrcb1_uncal.fits").touch()
    assert main(arguments) == code
    out, err = capfd.readouterr()
    (line,) = err.splitlines()
    assert out == "" and line.startswith("reprocess: ") and words in line
