"""A report of many exposures: time, size, speed in a browser; and whether it finds faults."""

import subprocess
import sys
import time

import numpy as np
from browser import chromium, skip_without_browser
from records import vary, write_record

from flows.report.attention import FAILED, attention
from flows.report.collect import collect
from flows.report.groups import deviations
from flows.report.page import write_report

skip_without_browser()

EXPOSURES = 1000


def test_report_of_many_exposures(small, tmp_path, environment, held, peak_memory):
    out, many = tmp_path / "out", tmp_path / "many"
    first = small.program.exposures[0]
    subprocess.run(
        [sys.executable, "-m", "flows.calwebb", str(first), "--output-dir", str(out)],
        env=environment | {"CRDS_PATH": str(small.crds_path)},
        check=True,
        capture_output=True,
    )
    vary(out, first.name.removesuffix("_uncal.fits"), EXPOSURES, many)
    started = time.perf_counter()
    memory = peak_memory(sys.executable, "-m", "flows.report", many)
    held("report of 1000 exposures", time.perf_counter() - started, limit=60, unit="s")
    held("report of 1000 exposures, memory", memory, limit=1000, unit="MB")
    page = many / "report.html"
    held("report of 1000 exposures, size", page.stat().st_size / 1e6, limit=50, unit="MB")
    with chromium() as browser:
        opened = []
        for _ in range(3):  # what else the machine does is no matter of the page
            shown = browser.new_page()
            started = time.perf_counter()
            shown.goto(page.as_uri())
            shown.locator("#count:text('1000 of 1000')").wait_for()
            opened.append(time.perf_counter() - started)
        held("page of 1000 exposures opens", min(opened), limit=3, unit="s")
        spent = shown.evaluate(
            """() => {
              const search = document.getElementById("search"), spent = [];
              const timed = (act) => {
                const begun = performance.now();
                act();
                document.body.offsetHeight;
                spent.push(performance.now() - begun);
              };
              for (const button of document.querySelectorAll("th button"))
                timed(() => button.click());
              for (const text of ["jw01003", "nrcb2", ""]) timed(() => {
                search.value = text;
                search.dispatchEvent(new Event("input"));
              });
              return Math.max(...spent) / 1000;
            }"""
        )
        held("page of 1000 exposures, sort or search", spent, limit=0.3, unit="s")


SIZE = 256
FILTERS = {"F115W": (0.3, 0.06), "F200W": (0.5, 0.08), "F277W": (0.9, 0.10), "F444W": (2.0, 0.2)}
"""With the level of their sky, and the noise of a pixel."""
DETECTORS = ("NRCA1", "NRCB1")
GOOD_AND_BAD = 200


def bad_bias(image, flags, noise, rng):
    image += 8 * noise


def bad_bias_of_an_amplifier(image, flags, noise, rng):
    image[:, : SIZE // 4] += 1.0 * noise


def hot_column(image, flags, noise, rng):
    image[:, rng.integers(20, SIZE - 20)] += 2 * noise


def wrong_flat(image, flags, noise, rng):
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    image *= 1 + 0.25 * np.sin(6 * x) * np.cos(5 * y)


def saturated_half(image, flags, noise, rng):
    flags[: SIZE // 2] |= 2


def background_step(image, flags, noise, rng):
    image[SIZE // 2 :] += 0.7 * noise


def stripes(image, flags, noise, rng):
    image += rng.normal(0, 0.4 * noise, (SIZE, 1))


def noisy(image, flags, noise, rng):
    image += rng.normal(0, noise, image.shape)


def storm_of_cosmic_rays(image, flags, noise, rng):
    flags[rng.random(image.shape) < 0.06] |= 4


FAULTS = [
    bad_bias,
    bad_bias_of_an_amplifier,
    hot_column,
    wrong_flat,
    saturated_half,
    background_step,
    stripes,
    noisy,
    storm_of_cosmic_rays,
    "smeared",
] * 2
"""Two of each; what is smeared is so before the detector sees it."""


def synthetic(rng, level, noise, fault):
    """Make an exposure as it may come out of the pipeline, and what is wrong with it."""
    from stdatamodels.jwst.datamodels import ImageModel

    image = np.full((SIZE, SIZE), level * rng.normal(1, 0.05))  # zodiacal light varies
    y, x = np.mgrid[:SIZE, :SIZE]
    width = 1.0 * (1.6 if fault == "smeared" else rng.normal(1, 0.01))
    for _ in range(rng.poisson(40)):
        y0, x0 = rng.uniform(8, SIZE - 8, 2)
        near = np.s_[int(y0) - 8 : int(y0) + 9, int(x0) - 8 : int(x0) + 9]
        flux = noise * 40 * rng.pareto(1.2)
        squared = (y[near] - y0) ** 2 + (x[near] - x0) ** 2
        image[near] += min(flux, 2e4 * noise) * np.exp(-squared / (2 * width**2))
    image *= 1 + 0.01 * np.cos(3 * x / SIZE)  # what every flat leaves
    image += rng.normal(0, noise, image.shape) + rng.normal(0, 0.03 * noise, (SIZE, 1))
    flags = np.zeros((SIZE, SIZE), np.uint32)
    flags[rng.random(image.shape) < 0.004] |= 1
    flags[rng.random(image.shape) < rng.uniform(0.005, 0.015)] |= 4
    if callable(fault):
        fault(image, flags, noise, rng)
    image[flags & 1 != 0] = np.nan
    model = ImageModel(data=image.astype("f4"), dq=flags)
    model.meta.exposure.type = "NRC_IMAGE"
    return model


def test_planted_faults_are_found(tmp_path, say):
    from stpipe_prefect.provenance.statistics import statistics_of

    rng = np.random.default_rng(29)
    groups = [(detector, name) for detector in DETECTORS for name in FILTERS]
    faults = dict(zip(rng.permutation(GOOD_AND_BAD)[: len(FAULTS)], FAULTS, strict=True))
    planted = {}
    for number in range(GOOD_AND_BAD):
        detector, name = groups[number % len(groups)]
        fault = faults.get(number)
        exposure = f"jw{number:05d}"
        write_record(
            tmp_path,
            exposure,
            statistics=statistics_of(synthetic(rng, *FILTERS[name], fault)),
            header={"detector": detector, "filter": name},
        )
        if fault:
            planted[f"{exposure}_uncal.fits"] = getattr(fault, "__name__", fault)
    found = collect([tmp_path])
    listed = attention(found, deviations(found))
    first = list(dict.fromkeys(each.item for each in listed))[:30]
    missed = {name: fault for name, fault in planted.items() if name not in first}
    others = [each for each in listed if each.item not in planted]
    say(f"{len(planted) - len(missed)} of {len(planted)} among the first 30, missed: {missed}")
    say(f"{len(listed)} listed, {len(others)} of them good: {[str(each) for each in others[:3]]}")
    assert len(planted) - len(missed) >= 18
    assert not [each for each in others if each.kind == FAILED]
    assert all(item.outcome == "Completed" for item in found.items)
    write_report(tmp_path / "report.html", [tmp_path])
