"""The header of a simulated exposure: what the ground system would have filled in."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .sky import Pointing

PROGRAMME = "01234"
_FIRST_START = datetime(2022, 7, 12)
_MJD_ZERO = datetime(1858, 11, 17)


def exposure_name(observation: int, number: int, detector: str) -> str:
    """Name an exposure, without suffix: ``jw01234001001_02101_00001_nrcb1``.

    The parts are program, observation, visit, visit group with parallel sequence and
    activity, exposure number and detector (JWST User Documentation, "File naming").
    """
    return f"jw{PROGRAMME}{observation:03d}001_02101_{number:05d}_{detector.lower()}"


def exposure_header(
    observation: int,
    number: int,
    pointing: Pointing,
    *,
    instrument: dict[str, str],
    exposure: dict[str, Any],
    subarray: dict[str, object],
    aperture: str,
    v2_ref: float,
    v3_ref: float,
) -> dict[str, Any]:
    """Fill in ``meta`` of an exposure.

    Parameters
    ----------
    observation, number : which observation of the program, and which exposure of it
    pointing : where the reference point of the aperture points, as the header states it
    instrument, exposure, subarray : as in ``meta``; ``exposure_time`` (s) is required
    aperture : its name
    v2_ref, v3_ref : the aperture's reference point in the focal plane, arcsec
    """
    start = _FIRST_START + timedelta(days=observation - 1, minutes=10 * (number - 1))
    duration = timedelta(seconds=exposure["exposure_time"])
    visit = f"{PROGRAMME}{observation:03d}001"
    return {
        "telescope": "JWST",
        "origin": "stpipe_prefect",
        "program": {"title": "Simulated stars", "category": "CAL"},
        "target": {
            "catalog_name": "SIMULATED",
            "type": "FIXED",
            "ra": pointing.ra,
            "dec": pointing.dec,
            "source_type_apt": "POINT",
        },
        "observation": {
            "obs_id": f"V{visit}P0000000002101",
            "visit_id": visit,
            "program_number": PROGRAMME,
            "observation_number": f"{observation:03d}",
            "visit_number": "001",
            "visit_group": "02",
            "sequence_id": "1",
            "activity_id": "01",
            "exposure_number": f"{number:05d}",
            "date": start.strftime("%Y-%m-%d"),
            "time": start.strftime("%H:%M:%S.000"),
        },
        "instrument": instrument,
        "exposure": {
            **exposure,
            "nframes": 1,
            "groupgap": 0,
            "start_time": _mjd(start),
            "mid_time": _mjd(start + duration / 2),
            "end_time": _mjd(start + duration),
        },
        "subarray": subarray,
        "aperture": {"name": aperture, "pps_name": aperture},
        "velocity_aberration": {"scale_factor": 1.0},
        "wcsinfo": {
            "v2_ref": v2_ref,
            "v3_ref": v3_ref,
            "vparity": -1,
            "v3yangle": 0.0,
            "ra_ref": pointing.ra,
            "dec_ref": pointing.dec,
            "roll_ref": pointing.roll,
        },
    }


def _mjd(time: datetime) -> float:
    """Turn into a modified Julian date: days since 1858-11-17."""
    return (time - _MJD_ZERO) / timedelta(days=1)
