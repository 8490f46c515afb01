"""A simulated Roman exposure, reference files for most of its steps, and an empty CRDS cache.

Small (136 x 136), so the steps that insist on a whole detector or on a real point spread
function have to be skipped: see `SKIPPED`.
"""

from __future__ import annotations

import pprint
from pathlib import Path
from typing import Any

import numpy as np

EXPOSURE = "r0000101001001001001_0001_wfi01_f158_uncal.asdf"
SKIPPED = ("refpix", "dark_decay", "source_catalog", "tweakreg")
OVERRIDES = {
    "dq_init": ("mask",),
    "saturation": ("saturation",),
    "linearity": ("linearity", "inverselinearity"),
    "rampfit": ("readnoise", "gain"),
    "dark_current": ("dark",),
    "assign_wcs": ("distortion",),
    "flatfield": ("flat",),
    "photom": ("photom",),
}
SIZE, READS = 136, 6


def make_exposure(folder: Path) -> None:
    from roman_datamodels.datamodels import ScienceRawModel

    rng = np.random.default_rng(1)
    rate = 200 + 20 * rng.standard_normal((SIZE, SIZE))
    noise = 5 * rng.standard_normal((READS, SIZE, SIZE))
    model = ScienceRawModel.create_fake_data(shape=(READS, SIZE, SIZE))
    model.data = (1000 + np.arange(1, READS + 1)[:, None, None] * rate + noise).astype("u2")
    model.amp33 = np.full((READS, SIZE, 128), 1000, "u2")
    model.meta.exposure.read_pattern = [[read] for read in range(1, READS + 1)]
    model.meta.exposure.frame_time = 3.04
    model.meta.instrument.optical_element = "F158"
    model.save(folder / EXPOSURE)


def make_references(folder: Path) -> None:
    from astropy.modeling.models import Scale, Shift

    ones = np.ones((SIZE, SIZE), "f4")
    quality = np.zeros((SIZE, SIZE), "u4")
    linear = np.zeros((5, SIZE, SIZE), "f4")
    linear[1] = 1
    photometry = {
        "photmjsr": 1e-15,
        "uncertainty": 1e-16,
        "pixelareasr": 2e-13,
        "collecting_area": 4.0,
        "wavelength": np.array([1.4, 1.7], "f4"),
        "effective_area": np.array([1.0, 1.0], "f4"),
    }
    centre = (1 - SIZE) / 2
    sky = (Shift(centre) & Shift(centre)) | (Scale(0.11) & Scale(0.11))
    _reference(folder, "mask", "MaskRefModel", dq=quality)
    _reference(folder, "saturation", "SaturationRefModel", data=ones * 60000, dq=quality)
    _reference(folder, "linearity", "LinearityRefModel", coeffs=linear, dq=quality)
    _reference(folder, "inverselinearity", "InverselinearityRefModel", coeffs=linear, dq=quality)
    _reference(folder, "readnoise", "ReadnoiseRefModel", data=ones * 5)
    _reference(folder, "gain", "GainRefModel", data=ones * 2)
    _reference(
        *(folder, "dark", "DarkRefModel"),
        dark_slope=ones * 0.01,
        dark_slope_error=ones * 0.001,
        dq=quality,
    )
    _reference(folder, "flat", "FlatRefModel", data=ones * 1.1, err=ones * 0.01, dq=quality)
    _reference(folder, "distortion", "DistortionRefModel", coordinate_distortion_transform=sky)
    _reference(folder, "photom", "WfiImgPhotomRefModel", phot_table={"F158": photometry})


def make_crds_cache(folder: Path) -> Path:
    """Make a cache that has a context, and says of every type that none applies."""
    from crds.roman import FILEKINDS

    mappings, config = folder / "mappings/roman", folder / "config/roman"
    mappings.mkdir(parents=True)
    config.mkdir(parents=True)
    _mapping(
        mappings / "roman_wfi_0001.imap",
        {"mapping": "INSTRUMENT", "instrument": "WFI", "parkey": ("REFTYPE",)},
        dict.fromkeys(FILEKINDS, "N/A"),
    )
    _mapping(
        mappings / "roman_0001.pmap",
        {"mapping": "PIPELINE", "parkey": ("ROMAN.META.INSTRUMENT.NAME",)},
        {"WFI": "roman_wfi_0001.imap"},
    )
    server = {
        "observatory": "roman",
        "operational_context": "roman_0001.pmap",
        "bad_files_list": [],
        "last_synced": "2024-01-01 00:00:00",
        "force_remote_mode": False,
    }
    (config / "server_config").write_text(repr(server))
    return folder


def parameters(folder: Path) -> dict[str, Any]:
    """Name the references for each step, and the steps to skip."""
    steps: dict[str, Any] = {
        step: {f"override_{kind}": str(folder / f"{kind}.asdf") for kind in kinds}
        for step, kinds in OVERRIDES.items()
    }
    steps["linearity"]["override_integralnonlinearity"] = "N/A"
    return steps | {step: {"skip": True} for step in SKIPPED}


def _reference(folder: Path, kind: str, model_name: str, **content: Any) -> None:
    from roman_datamodels import datamodels

    model = getattr(datamodels, model_name).create_fake_data()
    for name, value in content.items():
        model[name] = value
    model.save(folder / f"{kind}.asdf")


def _mapping(path: Path, header: dict[str, Any], selector: dict[str, str]) -> None:
    from crds.core.rmap import Mapping

    full = {"observatory": "ROMAN", "name": path.name, "derived_from": "simulated", **header}
    text = f"header = {pprint.pformat(full)}\n\nselector = {pprint.pformat(selector)}\n"
    Mapping.from_string(text, path.name, ignore_checksum=True).write(str(path))
