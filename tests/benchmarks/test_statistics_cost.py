"""What it costs to measure products and make their quick looks, beside making them."""

import json
import subprocess
import sys

from flows.sample import make_crds_cache, make_program

MEASURE = """
import json, sys, time
from pathlib import Path
from jwst.pipeline import Detector1Pipeline, Image2Pipeline
from stdatamodels.jwst import datamodels
from stpipe_prefect.provenance.looks import look_at
from stpipe_prefect.provenance.models import header_of
from stpipe_prefect.provenance.statistics import statistics_of

exposure, out = sys.argv[1:]
started = time.perf_counter()
rate = Detector1Pipeline.call(exposure, save_results=True, output_dir=out)
Image2Pipeline.call(rate, save_results=True, output_dir=out)
run, measuring = time.perf_counter() - started, {}
for product in sorted(Path(out).glob("*.fits")):
    with datamodels.open(product) as model:
        started = time.perf_counter()
        assert "sky" in statistics_of(model) and look_at(model) and header_of(model)
        measuring[product.name] = time.perf_counter() - started
print(json.dumps([run, measuring]))
"""


def test_statistics_of_products_against_making_them(tmp_path, environment, say, held):
    raw = make_program(tmp_path / "raw", size=1024, dithers=1, integrations=4, groups=10, stars=3)
    cache = make_crds_cache(tmp_path / "crds", size=1024, groups=10)
    out = tmp_path / "out"
    out.mkdir()
    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, str(raw.exposures[0]), str(out)],
        env=environment | {"CRDS_PATH": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )
    run, measuring = json.loads(measured.stdout.splitlines()[-1])
    say(
        f"{run:.1f} s, statistics and quick looks: "
        + ", ".join(f"{n} {s:.3f} s" for n, s in measuring.items())
    )
    held(
        "statistics and quick looks of products / making them at 1024",
        sum(measuring.values()) / run,
        limit=0.02,
    )
