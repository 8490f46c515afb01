"""Statistics give back what was put into a model, and leave the model as it was."""

import logging

import numpy as np
import pytest
from stdatamodels.jwst import datamodels
from stdatamodels.jwst.datamodels.dqflags import pixel

from stpipe_prefect.provenance.fingerprint import content_of_model
from stpipe_prefect.provenance.statistics import caveats_of, statistics_of

SKY, RMS, FWHM = 5.0, 0.2, 2.5
FLAGS = {"saturated_fraction", "jump_fraction", "do_not_use_fraction"}


@pytest.fixture(autouse=True)
def nothing_is_left_out(caplog):
    """What cannot be computed is logged, and in all tests but one everything can be."""
    caplog.set_level(logging.DEBUG, "stpipe_prefect.provenance.statistics")
    yield
    assert not [
        each.getMessage() for each in caplog.records if "no statistics" in each.getMessage()
    ]


def sky(shape=(300, 400), seed=1):
    return np.random.default_rng(seed).normal(SKY, RMS, shape).astype("float32")


def with_stars(image, number=40, fwhm=FWHM):
    """Add stars of peak / noise 20 to 2000 on a grid, at any place within their pixels."""
    rng = np.random.default_rng(2)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    places = [(y0, x0) for y0 in range(20, 300, 35) for x0 in range(20, 400, 40)][:number]
    for (y0, x0), peak in zip(places, np.geomspace(20, 2000, number) * RMS, strict=True):
        dy, dx = rng.uniform(-0.5, 0.5, 2)
        distance = (y - y0 - dy) ** 2 + (x - x0 - dx) ** 2
        image += (peak * np.exp(-4 * np.log(2) * distance / fwhm**2)).astype("float32")
    return image


def image_model(image, **flags):
    """Make a model with so many pixels that bear each flag, in rows from the top."""
    model = datamodels.ImageModel(image)
    model.dq = np.zeros(image.shape, "uint32")
    for name, count in flags.items():
        model.dq.reshape(-1)[-count:] |= pixel[name]
    model.meta.exposure.type = "NRC_IMAGE"
    model.meta.filename = "one_cal.fits"
    return model


def test_an_image_gives_its_sky_its_noise_and_its_stars():
    found = statistics_of(image_model(with_stars(sky())))
    assert found["sky"] == pytest.approx(SKY, abs=0.01)
    assert found["sky_rms"] == pytest.approx(RMS, rel=0.03)
    assert found["sources"] == 40
    assert found["source_fwhm_pixels"] == pytest.approx(FWHM, rel=0.03)
    # The median of n values scatters by 1.25 / sqrt(n) of what they do.
    assert found["row_scatter"] == pytest.approx(1.25 * RMS / 400**0.5, rel=0.25)
    assert found["column_scatter"] == pytest.approx(1.25 * RMS / 300**0.5, rel=0.25)
    assert caveats_of(found) == []


@pytest.mark.parametrize("fwhm", [1.6, 4.0])
def test_the_width_of_stars_is_found_whatever_it_is(fwhm):
    found = statistics_of(image_model(with_stars(sky(), fwhm=fwhm)))
    assert found["sources"] == 40
    assert found["source_fwhm_pixels"] == pytest.approx(fwhm, rel=0.05)


def test_stripes_show_in_the_medians_of_rows_alone():
    stripes = np.random.default_rng(3).normal(0, 0.1, (300, 1)).astype("float32")
    found = statistics_of(image_model(sky() + stripes))
    assert found["row_scatter"] == pytest.approx(0.1, rel=0.2)
    assert found["column_scatter"] < 0.03


def test_hot_pixels_bad_ones_and_gradients_are_no_sources():
    image = sky() + np.linspace(0, 20, 400, dtype="float32")
    image[50:250:20, 50:350:20] += 100 * RMS
    model = image_model(image)
    model.data[5:50, 100:102] = np.nan
    model.data[100:103, 200:203] += 1000
    model.dq[100:103, 200:203] = pixel["DO_NOT_USE"]
    found = statistics_of(model)
    assert found["sources"] == 0
    assert caveats_of(found) == [("no sources", "nothing stands out from the sky")]


def test_an_image_of_many_blocks_has_all_of_its_stars():
    image = np.tile(with_stars(sky((300, 400))), (12, 3))  # 3600 x 1200: searched in 5 blocks
    found = statistics_of(image_model(image))
    assert found["sources"] == 40 * 36
    assert found["sky"] == pytest.approx(SKY, abs=0.01)


def test_fractions_are_those_of_flagged_pixels():
    found = statistics_of(image_model(sky(), SATURATED=1200, JUMP_DET=6000, DO_NOT_USE=12000))
    assert found["saturated_fraction"] == 0.01
    assert found["jump_fraction"] == 0.05
    assert found["do_not_use_fraction"] == 0.1
    assert found["nan_fraction"] == 0


def test_a_ramp_has_fractions_alone_of_its_groups_and_its_pixels():
    ramp = datamodels.RampModel(np.ones((2, 5, 10, 10), "float32"))
    ramp.groupdq = np.zeros((2, 5, 10, 10), "uint8")
    ramp.pixeldq = np.zeros((10, 10), "uint32")
    ramp.groupdq[0, 4] = pixel["SATURATED"] | pixel["DO_NOT_USE"]
    ramp.groupdq[1, 2, 0] = pixel["JUMP_DET"]
    ramp.pixeldq[:3] = pixel["DO_NOT_USE"]
    assert statistics_of(ramp) == {
        "saturated_fraction": 0.1,
        "jump_fraction": 0.01,
        "do_not_use_fraction": 0.3,
    }


def test_flagged_pixels_do_not_count_and_a_model_of_flagged_ones_has_a_caveat():
    model = image_model(sky(), DO_NOT_USE=300 * 200)
    model.data[150:] = 1000
    assert statistics_of(model)["sky"] == pytest.approx(SKY, abs=0.01)
    model.dq[:] |= pixel["DO_NOT_USE"]
    found = statistics_of(model)
    assert "sky" not in found and "sources" not in found
    assert [kind for kind, _ in caveats_of(found)] == ["all DO_NOT_USE"]


def test_a_model_of_nan_has_a_caveat():
    found = statistics_of(image_model(np.full((30, 40), np.nan, "float32")))
    assert found["nan_fraction"] == 1
    assert [kind for kind, _ in caveats_of(found)] == ["all NaN"]
    almost = np.full((3000, 3000), np.nan, "float32")
    almost[7, 8] = 1
    assert caveats_of(statistics_of(image_model(almost))) == []


def spectrum(snr, flagged, points=1000, error="FLUX_ERROR"):
    model = datamodels.SpecModel if error == "FLUX_ERROR" else datamodels.CombinedSpecModel
    table = np.zeros(points, model().get_dtype("spec_table"))
    table["FLUX"], table[error] = snr * 1e-3, 1e-3
    table["DQ"][:flagged] = pixel["DO_NOT_USE"]
    table["FLUX"][:flagged] = 1e9
    return model(spec_table=table)


def test_spectra_give_their_signal_to_noise_and_what_is_flagged():
    model = datamodels.MultiSpecModel()
    for snr, flagged in ((10, 100), (30, 0), (50, 200)):
        model.spec.append(spectrum(snr, flagged))
    assert statistics_of(model) == {
        "spectra": 3,
        "spectrum_flagged_fraction": 0.1,
        "nan_fraction": 0,
        "spectrum_snr": 30,
    }
    one = statistics_of(spectrum(20, 500, error="ERROR"))
    assert (one["spectra"], one["spectrum_flagged_fraction"], one["spectrum_snr"]) == (1, 0.5, 20)
    nothing = statistics_of(spectrum(20, 1000))
    assert [kind for kind, _ in caveats_of(nothing)] == ["all DO_NOT_USE"]


def test_slits_count_together_and_are_not_searched_for_stars():
    model = datamodels.MultiSlitModel()
    for number in range(3):
        slit = datamodels.SlitModel(sky((20, 400), seed=number))
        slit.dq = np.full((20, 400), pixel["DO_NOT_USE"] if number == 2 else 0, "uint32")
        model.slits.append(slit)
    found = statistics_of(model)
    assert found["do_not_use_fraction"] == pytest.approx(1 / 3)
    assert found["sky"] == pytest.approx(SKY, abs=0.02)
    assert found["sky_rms"] == pytest.approx(RMS, rel=0.05)
    assert not {"sources", "row_scatter"} & found.keys()
    spectral = image_model(sky())
    spectral.meta.exposure.type = "NRC_WFSS"
    assert "sources" not in statistics_of(spectral)


def test_a_model_is_as_it_was_before(tmp_path):
    opened = [image_model(with_stars(sky())), datamodels.ImageModel(sky())]
    for number, model in enumerate(opened):
        before = content_of_model(model, "it")
        statistics_of(model)
        assert content_of_model(model, "it") == before
        model.save(str(tmp_path / f"{number}.fits"))
    assert statistics_of(opened[1]).keys().isdisjoint(FLAGS)
    assert statistics_of(opened[0]).keys() >= FLAGS
    with datamodels.open(tmp_path / "0.fits") as saved:
        assert statistics_of(saved) == statistics_of(opened[0])


def test_what_cannot_be_measured_is_left_out(caplog):
    model = image_model(sky())
    model.instance["meta"]["exposure"]["type"] = 5
    found = statistics_of(model)
    assert "sky" in found and "sources" not in found
    assert "ImageModel: no statistics of pixels: TypeError" in caplog.text
    caplog.clear()
    assert statistics_of(object()) == {}
    catalogue = datamodels.SegmentationMapModel(np.ones((30, 30), "uint32"))
    assert statistics_of(catalogue) == {}


def test_what_tweakreg_moved_an_image_by():
    pytest.importorskip("tweakwcs")
    from astropy import units
    from astropy.coordinates import ICRS
    from astropy.modeling.models import Pix2Sky_TAN, RotateNative2Celestial, Scale, Shift
    from gwcs import WCS
    from gwcs.coordinate_frames import CelestialFrame, Frame2D
    from tweakwcs.correctors import JWSTWCSCorrector

    detector = Frame2D(name="detector")
    v2v3 = Frame2D(name="v2v3", unit=(units.arcsec, units.arcsec))
    world = CelestialFrame(name="world", reference_frame=ICRS())
    scale = Scale(0.03) & Scale(0.03) | Shift(-120.0) & Shift(-450.0)
    degrees = Scale(1 / 3600) & Scale(1 / 3600)
    sky_of = Pix2Sky_TAN() | RotateNative2Celestial(53.0, -27.0, 180.0)
    wcs = WCS([(detector, scale), (v2v3, degrees | sky_of), (world, None)])
    wcs.bounding_box = ((-0.5, 399.5), (-0.5, 299.5))
    model = image_model(sky())
    model.meta.wcsinfo.instance.update(v2_ref=-120.0, v3_ref=-450.0, roll_ref=25.0)
    model.meta.wcs = wcs
    assert "tweakreg_offset_arcsec" not in statistics_of(model)
    corrector = JWSTWCSCorrector(wcs, {"v2_ref": -120.0, "v3_ref": -450.0, "roll_ref": 25.0})
    corrector.set_correction(shift=(0.03, 0.04))
    model.meta.wcs = corrector.wcs
    assert statistics_of(model)["tweakreg_offset_arcsec"] == pytest.approx(0.05, rel=1e-3)


def test_models_of_roman():
    roman = pytest.importorskip("roman_datamodels.datamodels")
    dqflags = pytest.importorskip("roman_datamodels.dqflags")
    model = roman.ImageModel.create_fake_data(shape=(300, 400))
    model.data = with_stars(sky())
    model.dq = np.zeros((300, 400), "uint32")
    model.dq[:30] = dqflags.pixel.SATURATED.value
    model.meta["wcs_fit_results"] = {"status": "SUCCESS", "rmse": 0.004}
    found = statistics_of(model)
    assert (found["sources"], found["saturated_fraction"]) == (40, 0.1)
    assert found["tweakreg_scatter_arcsec"] == 0.004
