"""What is stale, and why, as the records beside the products say."""

import os

import pytest
from astropy.io import fits

from flows.reprocess.summary import Summary
from flows.reprocess.survey import survey

# jwst has stpipe ask crds, which means to change
pytestmark = pytest.mark.filterwarnings("ignore:'get_cache_lock' is deprecated:DeprecationWarning")


def summary_of(archive, context):
    return Summary(survey([archive.folder], context))


def test_nothing_is_stale_under_the_same_context(archive, crds):
    summary = summary_of(archive, "jwst_0001.pmap")
    assert [item.input for item in summary.items] == [archive.image, archive.dark]
    assert summary.stale == []


def test_another_context_concerns_what_uses_its_references(archive, crds):
    summary = summary_of(archive, "jwst_0002.pmap")
    (item,) = summary.stale
    assert item.input == archive.image
    reasons = {reason.text for reason in summary.reasons}
    assert reasons == {
        "reference gain 0001 → 0002",
        "reference flat 0001 → 0002",
        "parameter jump.rejection_threshold 5.0 → 6.0 (CRDS step file pars-jumpstep 0001 → 0002)",
    }


def test_a_damaged_product_concerns_its_exposure_alone(archive, crds):
    (product,) = archive.folder.rglob("*_darkpipeline.fits")
    product.write_bytes(product.read_bytes()[:-1])
    (item,) = summary_of(archive, "jwst_0001.pmap").stale
    assert item.input == archive.dark


def test_what_cannot_be_read_is_no_obstacle_for_others(archive, crds):
    os.truncate(archive.image, 5000)
    summary = summary_of(archive, "jwst_0001.pmap")
    assert [item.input for item in summary.items] == [archive.image, archive.dark]
    assert summary.stale == []
    assert list(summary.failed) == [archive.image]
    assert str(archive.image) in summary.failed[archive.image]


def test_exposure_whose_product_somebody_cleaned_is_refused(archive, crds):
    (product,) = archive.image.parent.glob("*_rate.fits")
    with fits.open(product, mode="update") as hdus:
        hdus["SCI"].data[3, 3] += 1
    summary = summary_of(archive, "jwst_0002.pmap")
    assert summary.stale == []
    (line,) = summary.failed.values()
    assert line.startswith(f"{product} was changed since calwebb_detector1 made it (20")
