"""Figures of products for a person to look at: axes, scale, unit, and flags over the data."""

from __future__ import annotations

import io
import math
import warnings
from typing import Any

import numpy as np

from .quicklook import COLOURS, FLAGS, SIZE, Ramp, ScienceImage, Spectrum, smaller
from .stretch import Stretch, stretch_of

DPI = 80
LONGER, SHORTER = 4.6, 1.4
"""Inches of the longer side of an image, and of the shorter one at least."""
LEFT, LEFT_OF_SKY, SCALE, BOTTOM, TOP, GAP, TITLE = 0.8, 1.4, 1.1, 0.6, 0.8, 0.15, 6.0
"""Inches around it, for what is written there; and of the title."""
REFERENCE = 4
"""Pixels at each edge of a detector that see no light."""


def as_webp(figure: Any) -> bytes:
    """Draw a figure; as PNG, noise takes five times as many bytes."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a WCS, about dates, and of limits of empty data
        figure.savefig(buffer, format="webp", dpi=DPI, pil_kwargs={"quality": 85, "method": 2})
    return buffer.getvalue()


def of_image(name: str, image: ScienceImage, stretch: Stretch) -> Any:
    """Draw an image with its scale; beside it with its flags, or on the sky with a grid.

    All has its place in inches, since matplotlib takes longer to find places than to draw.
    """
    from matplotlib.figure import Figure

    flagged = image.flags is not None and bool(np.any(image.flags & sum(FLAGS.values())))
    width, height = _inches(image.plane)
    left = LEFT if image.wcs is None else LEFT_OF_SKY
    beside = left + width + SCALE
    whole = max(TITLE, beside + flagged * (LEFT + width + GAP))
    figure = Figure(figsize=(whole, BOTTOM + height + TOP))

    def add(x: float, width: float, **options: Any) -> Any:
        across, up = figure.get_size_inches()
        place = (x / across, BOTTOM / up, width / across, height / up)
        return figure.add_axes(place, **options)

    axes = add(left, width, projection=image.wcs)
    shown = _show(axes, image.plane, stretch)
    _scale(figure, shown, stretch, image.unit, cax=add(left + width + GAP, GAP))
    if image.wcs is None:
        axes.set(xlabel="x (pixels)", ylabel="y (pixels)")
    else:
        axes.coords.grid(color="white", alpha=0.5, linestyle=":")
        axes.coords[0].set_axislabel("right ascension (ICRS)")
        axes.coords[1].set_axislabel("declination (ICRS)")
    if flagged:
        other = add(beside + LEFT, width)
        _show(other, image.plane, stretch)
        _overlay(other, image.flags)
        other.set(xlabel="x (pixels)")
        other.set_title("flags", fontsize=10)
    _title(figure, name, image.title, f"{stretch} {image.unit}".rstrip())
    return figure


def of_ramp(name: str, ramp: Ramp) -> Any:
    """Draw the slope, where groups are flagged, and a few ramps with their flags."""
    groups, flags = ramp.groups, ramp.flags
    bad = flags & (FLAGS["SATURATED"] | FLAGS["DO_NOT_USE"]) != 0
    steps = np.diff(groups, axis=0)
    used = ~(bad[1:] | bad[:-1] | (flags[1:] & FLAGS["JUMP_DET"] != 0))
    count = used.sum(axis=0)
    slope = np.where(count, np.where(used, steps, 0).sum(axis=0) / np.maximum(count, 1), np.nan)
    jumps = (flags & FLAGS["JUMP_DET"] != 0).sum(axis=0)
    saturated = (flags & FLAGS["SATURATED"] != 0).sum(axis=0)
    flagged = [
        (counted, label)
        for counted, label in ((jumps, "JUMP_DET"), (saturated, "SATURATED"))
        if counted.any()
    ]
    rows = 2 if flagged else 1
    figure = _figure(11, 4.5 * rows)
    (first, *between, last), stretch = figure.subplots(rows, 2).flat, stretch_of(slope)
    unit = f"{ramp.unit or 'signal'} / group"
    _scale(figure, _show(first, slope, stretch), stretch, unit, ax=first, shrink=0.85)
    first.set_title("slope")
    for axes, (counted, label) in zip(between, flagged, strict=False):
        largest = smaller_by_largest(counted)
        shown = axes.imshow(largest, "viridis", vmin=0, vmax=counted.max(), **_place(counted))
        figure.colorbar(shown, ax=axes, label="groups")
        axes.set_title(f"groups {label}")
    for axes in between[len(flagged) :]:
        axes.set_axis_off()
    for axes in (first, *between):
        axes.set(xlabel="x (pixels)", ylabel="y (pixels)")
    _ramps(last, ramp, jumps, saturated, slope)
    _title(figure, name, ramp.title, f"last integration, slope: {stretch}")
    return figure


def of_spectrum(name: str, spectrum: Spectrum) -> Any:
    """Draw a spectrum with the band of its error; points that are not to be used are marked."""
    figure = _figure(8, 4)
    axes = figure.subplots()
    wavelength, flux = spectrum.wavelength, spectrum.flux
    good = np.isfinite(flux) if spectrum.flagged is None else np.isfinite(flux) & ~spectrum.flagged
    kept = np.where(good, flux, np.nan)
    axes.plot(wavelength, kept, drawstyle="steps-mid", linewidth=1, label="flux")
    if spectrum.error is not None:
        band = (kept - spectrum.error, kept + spectrum.error)
        axes.fill_between(wavelength, *band, step="mid", alpha=0.3, label="± 1 error")
    if spectrum.flagged is not None and spectrum.flagged.any():
        places = wavelength[spectrum.flagged]
        marks = np.zeros_like(places)
        axes.plot(
            *(places, marks),
            "|",
            transform=axes.get_xaxis_transform(),
            color=COLOURS["DO_NOT_USE"],
            label=f"DO_NOT_USE: {len(places)} of {len(wavelength)}",
        )
    if kept[good].size:
        low, high = np.percentile(kept[good], (0.5, 99.5))
        room = 0.2 * ((high - low) or abs(high) or 1)
        axes.set_ylim(low - room, high + room)
    units = spectrum.units
    axes.set(xlabel=f"wavelength ({units[0]})", ylabel=f"flux ({units[1]})")
    axes.legend(fontsize=8, frameon=False)
    _title(figure, name, spectrum.title, "")
    return figure


def smaller_by_largest(counted: Any) -> Any:
    """Make a plane smaller so that one pixel that is not zero is still seen."""
    step = -(-max(counted.shape) // SIZE)
    rows, columns = (-(-length // step) for length in counted.shape)
    padded = np.zeros((rows * step, columns * step), counted.dtype)
    padded[: counted.shape[0], : counted.shape[1]] = counted
    return padded.reshape(rows, step, columns, step).max(axis=(1, 3))


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _inches(plane: Any) -> tuple[float, float]:
    """Give the width and height of the place for an image."""
    height, width = plane.shape
    inch = LONGER / max(plane.shape)
    return max(SHORTER, width * inch), max(SHORTER, height * inch)


def _title(figure: Any, name: str, about: str, stretch: str) -> None:
    lines = [name, " — ".join(each for each in (about, stretch) if each)]
    figure.suptitle("\n".join(line for line in lines if line), fontsize=10)


def _place(plane: Any) -> dict[str, Any]:
    height, width = plane.shape
    extent = (-0.5, width - 0.5, -0.5, height - 0.5)
    return {"origin": "lower", "extent": extent, "interpolation": "nearest", "aspect": "equal"}


def _show(axes: Any, plane: Any, stretch: Stretch) -> Any:
    axes.set_facecolor("#402040")  # where there is no number
    return axes.imshow(stretch(smaller(plane, SIZE)), "gray", vmin=0, vmax=1, **_place(plane))


def _scale(figure: Any, shown: Any, stretch: Stretch, unit: str, **place: Any) -> None:
    ticks = np.linspace(0, 1, 6)
    scale = figure.colorbar(shown, label=unit, ticks=ticks, **place)
    scale.ax.set_yticklabels([f"{value:.3g}" for value in stretch.inverse(ticks)])


def _overlay(axes: Any, flags: Any) -> None:
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Patch

    entries = []
    for name in ("JUMP_DET", "SATURATED", "DO_NOT_USE"):  # the worst on top
        found = flags & FLAGS[name] != 0
        if found.any():
            alpha = smaller_by_largest(found)[..., None] * np.array(to_rgba(COLOURS[name]))
            axes.imshow(alpha, **_place(found))
            label = f"{name}: {100 * found.mean():.2g} %"
            entries.append(Patch(color=COLOURS[name], label=label))
    if entries:
        axes.legend(handles=entries, loc="upper right", fontsize=8)


def _ramps(axes: Any, ramp: Ramp, jumps: Any, saturated: Any, slope: Any) -> None:
    """Draw ramps of pixels: one with jumps, one that saturates, the brightest, a typical one."""
    clean = (jumps == 0) & (saturated == 0) & np.isfinite(slope)
    if min(clean.shape) > 4 * REFERENCE:
        inner = np.zeros_like(clean)
        inner[REFERENCE:-REFERENCE, REFERENCE:-REFERENCE] = True
        clean &= inner
    typical = np.abs(slope - np.nanmedian(slope[clean])) if clean.any() else slope
    choices = {
        "jump": np.where(saturated == 0, jumps, 0),
        "saturated": saturated,
        "bright": np.where(clean, np.nan_to_num(slope), -math.inf),
        "typical": np.where(clean, -typical, -math.inf),
    }
    number = np.arange(1, len(ramp.groups) + 1)
    for kind, score in choices.items():
        if kind in ("jump", "saturated") and not score.any():
            continue
        y, x = np.unravel_index(int(np.argmax(score)), score.shape)
        values, bits = ramp.groups[:, y, x], ramp.flags[:, y, x]
        axes.plot(number, values, ".-", linewidth=1, label=f"{kind}: x {x}, y {y}")
        for name, mark in (("JUMP_DET", "^"), ("SATURATED", "s"), ("DO_NOT_USE", "x")):
            hit = bits & FLAGS[name] != 0
            axes.plot(number[hit], values[hit], mark, color=COLOURS[name], markersize=7)
    axes.set(xlabel="group", ylabel=ramp.unit or "signal")
    axes.set_title("ramps: ▲ jump  ■ saturated  × not used", fontsize=9)  # noqa: RUF001
    axes.legend(fontsize=8, frameon=False)
