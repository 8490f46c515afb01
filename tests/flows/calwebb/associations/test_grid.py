"""One pixel grid for all mosaics of a target."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from flows.calwebb.associations.grid import MARGIN, grid_of, shared_grids
from stpipe_prefect.association import Association
from stpipe_prefect.exceptions import InputError, UsageError

SCALE = 0.05
SIDE = 100


def expose(folder, name, place, **cards):
    """Write a raw exposure at a place: right ascension and declination."""
    half = SCALE * SIDE / 2 / 3600
    stretch = np.cos(np.radians(place[1]))
    corners = [(place[0] + x * half / stretch, place[1] + y * half) for x, y in SQUARE]
    region = "POLYGON ICRS " + " ".join(f"{each:.9f}" for corner in corners for each in corner)
    primary = fits.PrimaryHDU()
    primary.header.update(
        PROGRAM="01234",
        OBSERVTN=cards.pop("OBSERVTN", "001"),
        TARGNAME=cards.pop("TARGNAME", "M 42"),
        TARGTYPE=cards.pop("TARGTYPE", "FIXED"),
    )
    science = fits.ImageHDU(np.zeros((SIDE, SIDE), "u1"), name="SCI")
    science.header.update({"S_REGION": region, "VPARITY": -1, **cards})
    path = folder / f"jw01234001001_02101_{name:05d}_nrcb1_uncal.fits"
    fits.HDUList([primary, science]).writeto(path)
    return path


SQUARE = [(-1, -1), (-1, 1), (1, 1), (1, -1)]


def combined(*exposures, filter="f200w"):
    members = [
        {"expname": path.name.replace("uncal", "cal"), "exptype": "science"} for path in exposures
    ]
    table = {"asn_type": "image3", "products": [{"name": filter, "members": members}]}
    return Association(table, exposures[0].with_name(f"{filter}_asn.json"))


def grids(*associations, said=None):
    exposures = [*associations[0].path.parent.glob("*_uncal.fits")]
    layers = shared_grids(associations, exposures, lambda pipeline: said or {})
    return {name: layer.values["steps"]["resample"] for name, layer in layers.items()}


@pytest.mark.parametrize("place", [(53.1, -27.8), (0.0, 10.0), (120.0, 89.9)], ids=str)
@pytest.mark.parametrize("rotation", [0.0, 25.0])
def test_all_of_a_target_is_on_its_grid_with_a_margin(tmp_path, place, rotation):
    others = (place[0] + 0.001, place[1] - 0.0005), (place[0], place[1] + 0.0003)
    places = [(ra % 360, dec) for ra, dec in (place, *others)]
    one, two, three = (expose(tmp_path, *each) for each in enumerate(places))
    said = {"steps": {"resample": {"rotation": rotation}}}
    found = grids(combined(one, two), combined(three, filter="f150w"), said=said)
    grid = found["f200w_asn.json"]
    assert found == {"f200w_asn.json": grid, "f150w_asn.json": grid}
    assert (grid["pixel_scale"], grid["rotation"]) == (SCALE, rotation)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval, wcs.wcs.cdelt = grid["crval"], [-SCALE / 3600, SCALE / 3600]
    wcs.wcs.crpix = np.array(grid["crpix"]) + 1
    angle = np.radians(rotation)
    wcs.wcs.pc = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    regions = [fits.getval(path, "S_REGION", 1).split()[2:] for path in (one, two, three)]
    pixels = wcs.wcs_world2pix(np.array(regions, float).reshape(-1, 2), 0)
    edge = MARGIN / SCALE
    np.testing.assert_allclose(pixels.min(axis=0), edge, atol=1.01)
    np.testing.assert_allclose(grid["output_shape"] - pixels.max(axis=0), edge + 1, atol=1.01)


def test_only_what_is_outside_changes_the_grid(tmp_path):
    one = expose(tmp_path, 1, (53.1, -27.8))
    two = expose(tmp_path, 2, (53.102, -27.798))
    before = grids(combined(one, two))
    between = expose(tmp_path, 3, (53.101, -27.799))
    assert grids(combined(one, two, between)) == before
    outside = expose(tmp_path, 4, (53.103, -27.799))
    assert grids(combined(one, two, outside)) != before


def test_the_finest_pixels_count_unless_the_user_says_other(tmp_path):
    one = expose(tmp_path, 1, (53.1, -27.8))
    coarse = expose(tmp_path, 2, (53.1, -27.8))
    with fits.open(coarse, "update") as hdus:
        hdus["SCI"].data = np.zeros((SIDE // 2, SIDE // 2), "u1")
    associations = combined(one), combined(coarse, filter="f444w")

    def scales(**resample):
        found = grids(*associations, said={"steps": {"resample": resample}})
        return {grid["pixel_scale"] for grid in found.values()}

    assert scales() == {0.05}
    assert scales(pixel_scale="0.06") == {0.06}
    assert scales(pixel_scale_ratio="0.5") == {0.025}


def test_other_targets_have_another_grid(tmp_path):
    one = expose(tmp_path, 1, (53.1, -27.8))
    two = expose(tmp_path, 2, (83.8, -5.4), TARGNAME="Orion")
    first, second = grids(combined(one), combined(two, filter="f150w")).values()
    assert (first["crval"], second["crval"]) == ([53.1, -27.8], [83.8, -5.4])


def test_without_a_target_each_observation_has_its_grid(tmp_path):
    one = expose(tmp_path, 1, (53.1, -27.8), TARGNAME="UNKNOWN")
    two = expose(tmp_path, 2, (53.2, -27.8), TARGNAME="UNKNOWN", OBSERVTN="002")
    first, second = grids(combined(one), combined(two, filter="f150w")).values()
    assert (first["crval"], second["crval"]) == ([53.1, -27.8], [53.2, -27.8])


def test_places_too_far_for_one_grid_are_refused(tmp_path):
    one, two = expose(tmp_path, 1, (53.1, -27.8)), expose(tmp_path, 2, (233.1, 27.8))
    with pytest.raises(InputError, match=f"{two.name}: .* from .*{one.name} of the same target"):
        grids(combined(one), combined(two, filter="f150w"))


def test_grid_of_the_user_is_not_overruled_in_part(tmp_path):
    association = combined(expose(tmp_path, 1, (53.1, -27.8)))
    with pytest.raises(UsageError, match=r"steps\.resample\.crval is given, too: leave one out"):
        grids(association, said={"steps": {"resample": {"crval": ["1", "2"]}}})


@pytest.mark.parametrize(
    ("cards", "problem"),
    [
        ({"S_REGION": "CIRCLE 1 2 3"}, "no polygon in S_REGION"),
        ({"S_REGION": "POLYGON ICRS 1 2 3"}, "no polygon in S_REGION"),
        ({"S_REGION": "POLYGON ICRS nan nan"}, "no polygon in S_REGION"),
        ({"TARGTYPE": "MOVING"}, "moves"),
    ],
)
def test_exposure_without_a_place_is_named(tmp_path, cards, problem):
    exposure = expose(tmp_path, 1, (53.1, -27.8), **cards)
    with pytest.raises(InputError, match=f"{exposure.name}: .*{problem}"):
        grids(combined(exposure))


def test_axes_may_run_the_other_way():
    corners = np.array([[1, 0, 0], [1, 1e-4, 0], [1, 1e-4, 2e-4]])
    corners /= np.linalg.norm(corners, axis=1)[:, None]
    plain, mirrored = (grid_of(corners, 0.1, 30.0, parity=parity) for parity in (-1, 1))
    (width, height), (x, y) = plain["output_shape"], plain["crpix"]
    assert mirrored["output_shape"] == [width, height]
    assert abs(mirrored["crpix"][0] - (width - 1 - x)) <= 1 and mirrored["crpix"][1] == y
