"""Which reference files suit an exposure, and whether they are whole."""

import ast
from pathlib import Path

import pytest
from crds.core import utils
from stdatamodels.jwst.datamodels import read_metadata

from stpipe_prefect.exceptions import ReferenceFileError
from stpipe_prefect.references.cache import prefetch
from stpipe_prefect.references.context import pinned_context
from stpipe_prefect.references.needs import differing_parameters
from stpipe_prefect.references.reference import ReferenceFile
from stpipe_prefect.references.selection import best_references

FIRST = {"observatory": "jwst", "context": "jwst_0001.pmap"}
SECOND = {"observatory": "jwst", "context": "jwst_0002.pmap"}


@pytest.fixture
def exposure(small):
    return read_metadata(small.program.exposures[0], flatten=True)


def test_contexts_select_different_files(crds_path, exposure):
    types = ["flat", "pars-jumpstep", "dark"]
    assert best_references(exposure, types, **FIRST) == {
        "flat": "jwst_nircam_flat_0001.fits",
        "pars-jumpstep": "jwst_nircam_pars-jumpstep_0001.asdf",
        "dark": "jwst_nircam_dark_0001.fits",
    }
    assert best_references(exposure, types, **SECOND) == {
        "flat": "jwst_nircam_flat_0002.fits",
        "pars-jumpstep": "jwst_nircam_pars-jumpstep_0002.asdf",
        "dark": "jwst_nircam_dark_0001.fits",
    }


@pytest.fixture
def mark_as_bad(crds_path):
    """Have CRDS mark a file as bad."""

    def mark(name):
        config = crds_path / "config/jwst/server_config"
        config.write_text(repr(ast.literal_eval(config.read_text()) | {"bad_files_list": [name]}))
        utils.clear_function_caches()

    yield mark
    utils.clear_function_caches()


def test_file_that_crds_marks_as_bad_is_refused(mark_as_bad, exposure, monkeypatch, caplog):
    name = "jwst_nircam_flat_0001.fits"
    mark_as_bad(name)
    match = rf"flat reference {name} for jw\S+ is marked as bad by CRDS: .* override_flat, or set"
    with pytest.raises(ReferenceFileError, match=match):
        best_references(exposure, ["flat", "dark"], **FIRST)
    best_references(exposure, ["dark"], **FIRST)
    with pytest.raises(ReferenceFileError, match="marked as bad"):
        prefetch(ReferenceFile(name, "flat", "jwst", "jwst_0001.pmap"))
    monkeypatch.setenv("CRDS_ALLOW_BAD_REFERENCES", "1")
    assert best_references(exposure, ["flat"], **FIRST) == {"flat": name}
    assert name in caplog.text


def test_rules_that_crds_marks_as_bad_are_refused(mark_as_bad, exposure, monkeypatch, caplog):
    mark_as_bad("jwst_nircam_flat_0001.rmap")
    match = r"jwst_0001.pmap contains jwst_nircam_flat_0001.rmap, marked as bad by CRDS: use"
    with pytest.raises(ReferenceFileError, match=match):
        best_references(exposure, ["dark"], **FIRST)
    best_references(exposure, ["dark"], **SECOND)
    monkeypatch.setenv("CRDS_ALLOW_BAD_RULES", "1")
    assert best_references(exposure, ["dark"], **FIRST)
    assert "jwst_nircam_flat_0001.rmap" in caplog.text


def test_no_types_need_no_files(crds_path, exposure):
    assert best_references(exposure, [], **FIRST) == {}


def test_type_that_does_not_apply(crds_path, exposure):
    assert best_references(exposure, ["fringe"], **FIRST) == {"fringe": "N/A"}


def test_every_type_without_a_rule_is_named(crds_path, exposure):
    exposure["meta.instrument.detector"] = "NRCA1"
    with pytest.raises(ReferenceFileError, match=r"jwst_0001\.pmap selects no dark, mask") as error:
        best_references(exposure, ["mask", "dark", "fringe"], **FIRST)
    assert "\n" not in str(error.value)
    unasked = best_references(exposure, ["mask", "fringe"], **FIRST, required=False)
    assert unasked == {"mask": "N/A", "fringe": "N/A"}


def test_instrument_the_context_does_not_know(crds_path, exposure):
    exposure["meta.instrument.name"] = "NIRSPEC"
    with pytest.raises(ReferenceFileError, match=r"cannot select references for jw\S+_uncal\.fits"):
        best_references(exposure, ["mask"], **FIRST)


@pytest.mark.parametrize("kind", ["flat", "pars-jumpstep"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("")])
def test_absent_or_damaged_rules_are_named(crds_path, exposure, kind, damage):
    rules = crds_path / "mappings" / "jwst" / f"jwst_nircam_{kind}_0001.rmap"
    damage(rules)
    with pytest.raises(ReferenceFileError, match=rules.name) as caught:
        best_references(exposure, [kind], **FIRST, required=False)
    assert "\n" not in str(caught.value)


def test_file_in_the_cache_is_found(crds_path):
    path = prefetch(ReferenceFile("jwst_nircam_gain_0001.fits", "gain", **FIRST)).path
    assert path == crds_path / "references/jwst/nircam/jwst_nircam_gain_0001.fits"


def test_absent_file_is_named_with_type_context_and_what_to_do(crds_path):
    path = crds_path / "references/jwst/nircam/jwst_nircam_gain_0001.fits"
    path.unlink()
    with pytest.raises(ReferenceFileError) as caught:
        prefetch(ReferenceFile(path.name, "gain", **FIRST))
    assert str(caught.value) == (
        "gain reference jwst_nircam_gain_0001.fits (jwst_0001.pmap) is not in the CRDS cache: "
        f"{path}; set CRDS_SERVER_URL to fetch it"
    )


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("jwst_nircam_gain_0001.fits", lambda contents: b""),
        ("jwst_nircam_gain_0001.fits", lambda contents: contents[:-100]),
        ("jwst_nircam_gain_0001.fits", lambda contents: b"<html>" + contents[6:]),
        ("jwst_nircam_pars-jumpstep_0001.asdf", lambda contents: b""),
        ("jwst_nircam_pars-jumpstep_0001.asdf", lambda contents: b"<html>"),
    ],
)
def test_damaged_file_is_named(crds_path, name, damage):
    path = crds_path / "references/jwst/nircam" / name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ReferenceFileError, match=f"{name} .*is damaged: {path}"):
        prefetch(ReferenceFile(name, "some", **FIRST))


def test_date_before_any_rule(crds_path, exposure):
    exposure["meta.observation.date"] = "1999-01-01"
    with pytest.raises(
        ReferenceFileError, match=r"jwst_0001\.pmap selects no dark reference for jw\S+_uncal\.fits"
    ) as caught:
        best_references(exposure, ["dark"], **FIRST)
    assert "override_<type>" in str(caught.value)


def test_cache_without_the_rules_of_other_instruments_will_do(crds_path, exposure):
    (crds_path / "mappings/jwst/jwst_miri_0001.imap").unlink()
    assert best_references(exposure, ["gain"], **FIRST)
    gain = ReferenceFile("jwst_nircam_gain_0001.fits", "gain", "jwst", "jwst_0001.pmap")
    asked = {**exposure, "meta.instrument.detector": "NRCA1"}
    with pinned_context("jwst", gain.context):
        found = differing_parameters(gain, asked, exposure)
    assert found == {"meta.instrument.detector": "NRCA1"}
