"""What libraries have read at import is each command's own: CRDS, Prefect's settings."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from lantern.model import Row
from machine import until
from shell import Shell, gone

EXPLAIN = ("-m", "stpipe_prefect", "explain", "lantern.pipelines.CalibratePipeline", "one_raw.row")
MISSION = str(Path(__file__).parents[1] / "mission")


@pytest.fixture(scope="module")
def shell(tmp_path_factory, lantern_cache):
    made = Shell(tmp_path_factory.mktemp("run"))
    Row([1.0, 10.0]).save(str(made.folder / "one_raw.row"))
    made.environment["PYTHONPATH"] += os.pathsep + MISSION
    made.environment["PREFECT_HOME"] = str(made.folder / "prefect")
    for name in [name for name in made.environment if name.startswith("CRDS_")]:
        del made.environment[name]  # as in a new shell
    made.start("flows.calibrate.preload", "crds.core.rmap", "lantern.pipelines")
    yield made
    made.warm("--stop")


def test_each_has_its_crds_cache(shell, lantern_cache, tmp_path):
    other = shutil.copytree(lantern_cache, tmp_path / "other")
    places = [lantern_cache, tmp_path / "none", other, tmp_path / "none", lantern_cache]

    def begun(path, **more):
        environment = shell.environment | {"CRDS_PATH": str(path), **more}
        return subprocess.Popen(
            [sys.executable, *EXPLAIN],
            cwd=shell.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    warm = [begun(path) for path in places]
    said = [(*each.communicate(), each.returncode) for each in warm]
    cold = [begun(path, SLURM_JOB_ID="1") for path in places[:2]]
    expected = [(*each.communicate(), each.returncode) for each in cold]
    assert [status for _, _, status in said] == [0, 1, 0, 1, 0]
    assert said[:2] == expected
    assert said[3] == said[1]
    assert str(tmp_path / "none") in said[1][1]
    assert said[2][0] == said[0][0]


def test_embedded_server_stays_with_the_warm_process(shell):
    environment = shell.environment | {"PREFECT_CLIENT_MAX_RETRIES": "7"}

    def ask():
        done = shell.run("-m", "asking", env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    address, retries = ask()
    assert retries == "7"  # the command's own setting
    (server,) = (
        process.pid
        for process in psutil.process_iter(["cmdline", "environ"])
        if "stpipe_prefect.orchestration.embedded" in (process.info["cmdline"] or ())
        and (process.info["environ"] or {}).get("PREFECT_HOME") == environment["PREFECT_HOME"]
    )
    assert ask() == [address, "7"]
    assert not gone(server)
    shell.warm("--stop")
    until(lambda: gone(server), "the end of the server")
