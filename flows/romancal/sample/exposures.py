"""Dithered raw exposures of some stars, the association that combines them, and their truth."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.sample.ramps import add_stars
from flows.sample.sky import Pointing, Star, dither, scatter_places, sky_to_pixel
from flows.sample.truth import CosmicRay, ExposureTruth, Truth

from . import detector

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.random import Generator
    from numpy.typing import NDArray

STARS = 25
FAINTEST, BRIGHTEST = 1e-5, 1e-4
"""Jansky."""
SKY_BRIGHTNESS = 0.5
"""MJy/sr of the zodiacal light."""
COSMIC_RAYS = 12
"""Of each exposure."""
FULL = detector.SIZE + 2 * detector.BORDER

MOSAIC = "r0000101001001001_mosaic_f158"
"""Name of the combined products, without suffix."""
ASSOCIATION = f"{MOSAIC}_asn.json"
TRUTH = "truth.json"


def make_program(folder: Path, *, dithers: int = 3, seed: int = 1) -> None:
    """Simulate a program into a folder; the same arguments give the same data.

    Parameters
    ----------
    folder : where to write; made if absent
    dithers : how many exposures
    seed : of the random numbers
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    pointings = dither(rng, dithers, detector.SIZE, detector.PLATE)
    places = scatter_places(rng, STARS, detector.SIZE, detector.PLATE)
    fluxes = np.geomspace(BRIGHTEST, FAINTEST, STARS)
    stars = tuple(
        Star(float(a), float(d), float(f)) for a, d, f in zip(*places, fluxes, strict=True)
    )
    truths = tuple(
        _make_exposure(folder, number, pointing, stars, rng)
        for number, pointing in enumerate(pointings, 1)
    )
    Truth(stars, truths).save(folder / TRUTH)
    members = [{"expname": f"{each.name}_cal.asdf", "exptype": "science"} for each in truths]
    association = {
        "asn_type": "image",
        "asn_rule": "DMS_ELPP_Base",
        "asn_id": "a3001",
        "asn_pool": "none",
        "program": "1",
        "target": "none",
        "data_release_id": "p",
        "products": [{"name": MOSAIC, "members": members}],
    }
    (folder / ASSOCIATION).write_text(json.dumps(association, indent=1) + "\n", encoding="utf-8")


def _make_exposure(
    folder: Path, number: int, pointing: Pointing, stars: tuple[Star, ...], rng: Generator
) -> ExposureTruth:
    from roman_datamodels.datamodels import ScienceRawModel

    name = f"r0000101001001001001_{number:04d}_wfi01_f158"
    light = np.full((detector.SIZE, detector.SIZE), SKY_BRIGHTNESS / detector.PHOTMJSR)
    ra, dec = np.array([(star.ra, star.dec) for star in stars]).T
    xs, ys = sky_to_pixel(pointing, ra, dec, detector.SIZE, detector.PLATE)
    counts = [star.flux / detector.JANSKY_PER_DN_S for star in stars]
    add_stars(light, xs, ys, counts, detector.PSF_SIGMA)
    hits = _cosmic_rays(rng, light)
    model = ScienceRawModel.create_fake_data(shape=(detector.READS, FULL, FULL))
    model.data = _expose(rng, light, hits)
    model.amp33 = np.full((detector.READS, FULL, 128), round(detector.BIAS), np.uint16)
    _fill_in(model.meta, number, pointing)
    model.save(folder / f"{name}_uncal.asdf")
    return ExposureTruth(name, hits, ())


def _cosmic_rays(rng: Generator, light: NDArray[np.float64]) -> tuple[CosmicRay, ...]:
    """Let cosmic rays hit where there is no starlight; indices are those of `light`."""
    free = np.argwhere(light <= light.min() * 1.01)
    places = free[rng.choice(len(free), COSMIC_RAYS, replace=False)]
    return tuple(
        CosmicRay(0, int(rng.integers(1, detector.READS)), int(y), int(x), 4000.0)
        for y, x in places
    )


def _expose(
    rng: Generator, light: NDArray[np.float64], hits: tuple[CosmicRay, ...]
) -> NDArray[np.uint16]:
    rate = np.pad(light + detector.DARK_RATE, detector.BORDER)
    electrons = np.zeros((FULL, FULL))
    reads = np.empty((detector.READS, FULL, FULL), np.uint16)
    for number in range(detector.READS):
        electrons += rng.poisson(rate * detector.GAIN * detector.FRAME_TIME)
        for hit in hits:
            if hit.group == number:
                electrons[hit.y + detector.BORDER, hit.x + detector.BORDER] += hit.electrons
        noise = detector.READ_NOISE * rng.standard_normal((FULL, FULL))
        reads[number] = np.rint(detector.BIAS + electrons / detector.GAIN + noise)
    return reads


def _fill_in(meta: Any, number: int, pointing: Pointing) -> None:
    """State what the ground system would have, as far as it matters here."""
    from astropy.time import Time, TimeDelta

    duration = detector.READS * detector.FRAME_TIME
    start = Time("2027-06-01T00:00:00") + TimeDelta(600 * number, format="sec")
    meta.instrument.detector = detector.DETECTOR
    meta.instrument.optical_element = detector.FILTER
    meta.exposure.start_time = start
    meta.exposure.end_time = start + TimeDelta(duration, format="sec")
    meta.exposure.frame_time = detector.FRAME_TIME
    meta.exposure.exposure_time = meta.exposure.effective_exposure_time = duration
    meta.exposure.nresultants = detector.READS
    meta.exposure.read_pattern = [[read] for read in range(1, detector.READS + 1)]
    for part in ("program", "execution_plan", "pass", "segment", "observation", "visit"):
        meta.observation[part] = 1
    meta.observation.exposure = number
    meta.velocity_aberration.scale_factor = 1.0
    meta.wcsinfo.v2_ref, meta.wcsinfo.v3_ref = detector.PLATE.v2, detector.PLATE.v3
    meta.wcsinfo.v3yangle = 0.0
    meta.wcsinfo.ra_ref, meta.wcsinfo.dec_ref = pointing.ra, pointing.dec
    meta.wcsinfo.roll_ref = pointing.roll
