"""Peak memory of a flow of calwebb_detector1 against plain ``.call``: at most 1.10 times."""

import sys

from flows.sample import make_crds_cache, make_program

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


def test_memory_of_a_large_exposure(tmp_path, peak_memory, running_server, held):
    program = make_program(
        tmp_path / "raw", size=SIZE, dithers=1, integrations=INTEGRATIONS, groups=GROUPS
    )
    exposure = program.exposures[0]
    assert exposure.stat().st_size >= 200e6
    cache = str(make_crds_cache(tmp_path / "crds", size=SIZE, groups=GROUPS))
    plain, flow = (
        peak_memory(
            *(sys.executable, "-c", code, exposure, tmp_path / name),
            CRDS_PATH=cache,
            PREFECT_API_URL=running_server,
        )
        for name, code in {"plain": PLAIN, "flow": FLOW}.items()
    )
    held(f"peak memory of a flow / .call ({plain / 1e3:.2f} GB)", flow / plain, limit=1.10)
