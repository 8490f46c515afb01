"""The miniature CRDS cache of Roman: reference and parameter files, and two contexts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from flows.sample.contexts import Observatory
from flows.sample.crds_cache import write_cache
from flows.sample.references.parameters import ParameterFile
from flows.sample.references.reference import Reference

from . import detector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CONTEXTS = ("roman_0001.pmap", "roman_0002.pmap")
"""The operational context, and a newer one: another flat."""

ROMAN = Observatory("roman", "ROMAN.META.INSTRUMENT.NAME", ("ROMAN.META.EXPOSURE.START_TIME",))

PARAMETERS = (
    # It computes the times at which a whole detector of 4096 pixels is read.
    ParameterFile("romancal.dark_decay.DarkDecayStep", {"skip": True}),
    # It asks a catalogue service for stars with known positions.
    ParameterFile("romancal.tweakreg.TweakRegStep", {"skip": True}),
    # There is no model of the point spread function to fit.
    ParameterFile("romancal.source_catalog.SourceCatalogStep", {"fit_psf": False, "npixels": 10}),
)

FULL = detector.SIZE + 2 * detector.BORDER


def make_crds_cache(folder: Path) -> Path:
    """Make a cache that calibrates what `flows.romancal.sample.exposures` simulates.

    Parameters
    ----------
    folder : where; made if absent

    Returns
    -------
    `folder`, the value for ``CRDS_PATH``.
    """
    return write_cache(folder, ROMAN, CONTEXTS, [*_references(), *_parameter_files()])


class RomanReference(Reference):
    """A reference file with a data model of Roman."""

    telescope: ClassVar[str] = "ROMAN"

    def _save(self, content: Any, meta: dict[str, Any], path: Path) -> None:
        from astropy.time import Time

        instrument = {**content.meta.get("instrument", {}), **meta["instrument"]}
        stated = {**meta, "useafter": Time(meta["useafter"]), "instrument": instrument}
        for key, value in {**stated, "origin": "stpipe_prefect"}.items():
            content.meta[key] = value
        content.save(path)


def _references() -> Iterator[Reference]:
    ones, quality = np.ones((FULL, FULL), np.float32), np.zeros((FULL, FULL), np.uint32)
    linear = np.zeros((5, FULL, FULL), np.float32)
    linear[1] = 1.0
    sky = np.ones((detector.SIZE, detector.SIZE), np.float32)
    good = np.zeros((detector.SIZE, detector.SIZE), np.uint32)
    make = {
        "mask": _model("MaskRefModel", dq=quality),
        "saturation": _model("SaturationRefModel", data=ones * detector.SATURATION, dq=quality),
        "linearity": _model("LinearityRefModel", coeffs=linear, dq=quality),
        "inverselinearity": _model("InverselinearityRefModel", coeffs=linear, dq=quality),
        "readnoise": _model("ReadnoiseRefModel", data=ones * detector.READ_NOISE),
        "gain": _model("GainRefModel", data=ones * detector.GAIN),
        "dark": _model(
            "DarkRefModel",
            dark_slope=ones * detector.DARK_RATE,
            dark_slope_error=ones * detector.DARK_RATE / 10,
            dq=quality,
        ),
        "distortion": _distortion,
        "photom": _photom,
    }
    match = {"ROMAN.META.INSTRUMENT.DETECTOR": detector.DETECTOR}
    for reftype, maker in make.items():
        yield RomanReference("wfi", reftype, maker, match, extension="asdf")
    # A mosaic is of no detector: romancal asks for what belongs to another one.
    yield RomanReference("wfi", "apcorr", _apcorr, extension="asdf")
    # Mosaics that are no cells of the sky are looked up there all the same.
    cells = _model("SkycellsRefModel")
    yield RomanReference("wfi", "skycells", cells, extension="asdf", pedigree="GROUND")
    filtered = {**match, "ROMAN.META.INSTRUMENT.OPTICAL_ELEMENT": detector.FILTER}
    for edition, value in enumerate(detector.FLATS, 1):
        flat = _model("FlatRefModel", data=sky * value, err=sky * 1e-3, dq=good)
        yield RomanReference("wfi", "flat", flat, filtered, edition, "asdf")


def _parameter_files() -> Iterator[Reference]:
    for file in PARAMETERS:
        yield RomanReference("wfi", file.reftype, file.tree, extension="asdf")


def _model(name: str, **content: Any) -> Callable[[], Any]:
    return partial(_make_model, name, content)


def _make_model(name: str, content: dict[str, Any]) -> Any:
    from roman_datamodels import datamodels

    model = getattr(datamodels, name).create_fake_data()
    for key, value in content.items():
        model[key] = value
    return model


def _distortion() -> Any:
    """State a plate scale and no distortion proper."""
    from astropy.modeling.models import Scale, Shift

    plate, middle = detector.PLATE, (detector.SIZE - 1) / 2
    centred = Shift(-middle) & Shift(-middle) | Scale(-plate.scale) & Scale(plate.scale)
    transform = centred | Shift(plate.v2) & Shift(plate.v3)
    return _make_model("DistortionRefModel", {"coordinate_distortion_transform": transform})


def _photom() -> Any:
    table = {
        detector.FILTER: {
            "photmjsr": detector.PHOTMJSR,
            "uncertainty": detector.PHOTMJSR / 100,
            "pixelareasr": detector.PIXEL_AREA,
            "collecting_area": 4.0,
            "wavelength": np.array([1.4, 1.7], np.float32),
            "effective_area": np.array([1.0, 1.0], np.float32),
        }
    }
    return _make_model("WfiImgPhotomRefModel", {"phot_table": table})


def _apcorr() -> Any:
    """State how much of a star's light is within which radius."""
    radii = np.linspace(0.5, 20.0, 40)
    within = 1 - np.exp(-(radii**2) / (2 * detector.PSF_SIGMA**2))
    apertures = {
        "ee_radii": radii,
        "ee_fractions": within,
        "ap_corrections": 1 / within,
        "sky_background_rin": None,
        "sky_background_rout": None,
    }
    return _make_model("ApcorrRefModel", {"data": {detector.FILTER: apertures}})
