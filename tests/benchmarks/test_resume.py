"""Running again with another parameter of a late step, from a checkpoint before it."""

import json
import subprocess
import sys

from flows.sample import make_crds_cache, make_program

SIZE, INTEGRATIONS, GROUPS = 512, 2, 20

MEASURE = """
import gc, json, sys, time
from stpipe_prefect import as_flow

exposure, out = sys.argv[1:]
times = {}

def run(name, **options):
    started = time.perf_counter()
    as_flow("calwebb_detector1")(exposure, output_dir=f"{out}/{name}", **options)
    times[name] = time.perf_counter() - started

# Finding showers takes most of the time. (Removing flicker noise would take more, but asks for
# reference files of its own: no checkpoint is kept after it.)
showers = {"jump": {"find_showers": True}}
changed = {"steps": showers | {"ramp_fit": {"firstgroup": 2}}}
kept = {"checkpoint": ["jump"]}
run("first", steps=showers, **kept)  # keeps the checkpoint, and bears the cost of a first time
gc.collect()
gc.freeze()  # stpipe's collecting of garbage at every step is not what is measured
run("full", **changed)
run("resumed", **kept, **changed)
print(json.dumps(times))
"""


def test_rerun_from_a_checkpoint(
    tmp_path, environment, running_server, say, held, assert_same_arrays
):
    from stpipe_prefect.provenance.record import find_record

    program = make_program(
        tmp_path / "raw", size=SIZE, dithers=1, integrations=INTEGRATIONS, groups=GROUPS
    )
    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, str(program.exposures[0]), str(tmp_path)],
        env=environment
        | {
            "CRDS_PATH": str(make_crds_cache(tmp_path / "crds", size=SIZE, groups=GROUPS)),
            "PREFECT_API_URL": running_server,
            "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
            "STPIPE_PREFECT_CHECKPOINTS": str(tmp_path / "checkpoints"),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    times = json.loads(measured.stdout.splitlines()[-1])
    (rate,) = (tmp_path / "resumed").glob("*_rate.fits")
    outcomes = {row["step"]: row["outcome"] for row in find_record(rate).steps}
    assert (outcomes["jump"], outcomes["ramp_fit"]) == ("Cached", "Completed")
    for product in (tmp_path / "resumed").glob("*.fits"):
        assert_same_arrays(product, tmp_path / "full" / product.name)
    ratio = times["resumed"] / times["full"]
    say(f"another ramp_fit: {times['resumed']:.2f} s, all of it {times['full']:.2f} s")
    held("rerun from a checkpoint / all of it", ratio, limit=0.5)
