"""What a program consists of, and that it can be made again."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst.datamodels import Level1bModel

from flows.sample import Program, Truth, make_program, make_slit_exposure
from flows.sample.slit import NOD_SKY, make_nods


def tiny(folder: Path, **changes: int) -> Program:
    arguments = {"size": 64, "dithers": 1, "integrations": 1, "groups": 4, "stars": 2}
    return make_program(folder, **(arguments | changes))


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_same_arguments_give_same_bytes(tmp_path: Path) -> None:
    tiny(tmp_path / "first")
    tiny(tmp_path / "again")
    assert contents(tmp_path / "first") == contents(tmp_path / "again")


def test_nods_have_the_star_at_two_places_before_a_bright_sky(
    tmp_path: Path,
) -> None:
    first, second = (fits.getdata(path)[300] for path in make_nods(tmp_path))
    assert (int(first.argmax()), int(second.argmax())) == (46, 34)
    assert np.median([first, second]) == pytest.approx(NOD_SKY, abs=0.3)


def test_slit_exposure_is_made_again_with_same_bytes(tmp_path: Path) -> None:
    make_slit_exposure(tmp_path / "first")
    make_slit_exposure(tmp_path / "again")
    assert contents(tmp_path / "first") == contents(tmp_path / "again")


def test_another_seed_gives_another_sky(tmp_path: Path) -> None:
    one = Truth.load(tiny(tmp_path / "one").truth)
    two = Truth.load(tiny(tmp_path / "two", seed=2).truth)
    assert one.stars != two.stars


def test_exposure_has_the_asked_shape_and_a_valid_header(small: Any) -> None:
    assert [p.name for p in small.program.exposures] == [
        "jw01234001001_02101_00001_nrcb1_uncal.fits",
        "jw01234001001_02101_00002_nrcb1_uncal.fits",
    ]
    with Level1bModel(small.program.exposures[0], strict_validation=True) as exposure:
        assert exposure.data.shape == (2, 5, 64, 64)
        assert exposure.data.dtype == np.uint16
        assert exposure.meta.instrument.detector == "NRCB1"
        assert exposure.meta.exposure.ngroups == 5
        assert (exposure.meta.subarray.xsize, exposure.meta.subarray.ysize) == (64, 64)


def test_association_names_the_calibrated_exposures(small: Any) -> None:
    association = json.loads(small.program.association.read_text())
    (product,) = association["products"]
    assert [member["expname"] for member in product["members"]] == [
        "jw01234001001_02101_00001_nrcb1_cal.fits",
        "jw01234001001_02101_00002_nrcb1_cal.fits",
    ]


def test_cosmic_rays_of_the_truth_are_in_the_ramps(small: Any) -> None:
    truth = Truth.load(small.program.truth)
    for path, exposure in zip(small.program.exposures, truth.exposures, strict=True):
        assert exposure.name in path.name
        with Level1bModel(path) as model:
            ramps = model.data.astype(int)
        assert exposure.cosmic_rays
        for hit in exposure.cosmic_rays:
            before, after = ramps[hit.integration, hit.group - 1 : hit.group + 1, hit.y, hit.x]
            assert after - before > 1000


def test_saturated_pixels_of_the_truth_stopped_counting(small: Any) -> None:
    truth = Truth.load(small.program.truth)
    with Level1bModel(small.program.exposures[0]) as model:
        last = model.data[:, -1].max(axis=0)
    full = {(int(y), int(x)) for y, x in np.argwhere(last > 57000)}
    assert full == set(truth.exposures[0].saturated) != set()


def test_truth_survives_saving(small: Any, tmp_path: Path) -> None:
    truth = Truth.load(small.program.truth)
    truth.save(tmp_path / "copy.json")
    assert Truth.load(tmp_path / "copy.json") == truth


def test_too_many_stars_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="50 stars do not fit into 64 x 64 pixels"):
        tiny(tmp_path, stars=50)
