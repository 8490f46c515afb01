"""Peak memory of a flow of calwebb_detector1 against plain ``.call``: at most 1.10 times."""

import os
import subprocess
import sys

from flows.sample import make_crds_cache, make_programme

SIZE, INTEGRATIONS, GROUPS = 1024, 10, 10  # 210 MB of raw ramp

PLAIN = """
import sys
from jwst.pipeline import Detector1Pipeline
Detector1Pipeline.call(sys.argv[1], output_dir=sys.argv[2], save_results=True)
"""
FLOW = """
import sys
from stpipe_prefect import as_flow
as_flow("calwebb_detector1")(sys.argv[1], output_dir=sys.argv[2])
"""


def test_memory_of_a_large_exposure(tmp_path, environment, running_server, held):
    programme = make_programme(
        tmp_path / "raw", size=SIZE, dithers=1, integrations=INTEGRATIONS, groups=GROUPS
    )
    exposure = programme.exposures[0]
    assert exposure.stat().st_size >= 200e6
    environment = environment | {
        "CRDS_PATH": str(make_crds_cache(tmp_path / "crds", size=SIZE, groups=GROUPS)),
        "PREFECT_API_URL": running_server,
    }
    peaks = {}
    for name, code in {"plain": PLAIN, "flow": FLOW}.items():
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(exposure), str(tmp_path / name)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0, name
        peaks[name] = usage.ru_maxrss / 1e6  # kB on Linux, so GB
    ratio = peaks["flow"] / peaks["plain"]
    held(f"peak memory of a flow / .call ({peaks['plain']:.2f} GB)", ratio, limit=1.10)
