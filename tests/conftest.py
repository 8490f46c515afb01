"""What tests run on: small samples, the real one, and what plain jwst makes of it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from shutil import copy

import pytest
import warm
from filelock import FileLock
from object_store import ObjectStore, object_store
from platformdirs import user_cache_path

from flows.romancal.sample import store as roman_store
from flows.romancal.sample.store import Sample as RomanSample
from flows.sample import Program, Sample, Truth, ensure_sample, make_crds_cache, make_program

FLIGHT = Path(__file__).parents[1] / "../shared/data/flight"
ACQUISITION = FLIGHT / "jw01019001001_gs-acq1_2022117003102_uncal.fits"


HEAVY = {
    "calibrated",
    "chromium",
    "fork_server",
    "machine_of_tests",
    "new_prefect_home",
    "postgres_server",
    "prefect_server",
    "prefect_url",
    "roman",
    "roman_products",
    "sample",
    "small",
    "store_server",
    "user",
}
"""Fixtures that run jwst or romancal, or start a server: `make test-fast` leaves them out."""


LONGEST = (
    "tests/operations/test_make_up.py",
    "tests/e2e/test_equals_call.py",
    "tests/docs/test_commands.py",
    "tests/flows/calwebb/test_command.py",
    "tests/orchestration/test_shared_server.py",
    "tests/operations/test_service.py",
    "tests/orchestration/test_slurm.py",
    "tests/flows/reprocess/test_recorded.py",
    "tests/orchestration/test_deployments.py",
    "tests/orchestration/test_resume.py",
    "tests/orchestration/test_batch.py",
    "tests/flows/reprocess/test_main.py",
    "tests/e2e/test_drop_in.py",
    "tests/e2e/test_degraded.py",
    "tests/faults/test_ended.py",
    "tests/flows/romancal/test_command.py",
)
"""Files that take the longest: they begin first, so that no process is left with one at the end."""


runtime = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # those beside this process use the same
        config.stash[runtime] = warm.make_folder()


def pytest_unconfigure(config: pytest.Config) -> None:
    if folder := config.stash.get(runtime, None):
        warm.stop(folder)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HEAVY.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("heavy")
    rank = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.nodeid.partition("::")[0], len(LONGEST)))


@dataclass(frozen=True)
class Small:
    """A 64 x 64 program and its cache."""

    program: Program
    crds_path: Path


@pytest.fixture(scope="session")
def small(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Small:
    """Made once for all processes that run these tests; not to be written into."""
    from flows.sample.exposures import ASSOCIATION, TRUTH

    def make(folder: Path) -> None:
        size, groups = 64, 5
        make_program(
            folder / "nircam", size=size, dithers=2, integrations=2, groups=groups, stars=3
        )
        make_crds_cache(folder / "crds", size=size, groups=groups)

    folder = made_once("small", make)
    nircam = folder / "nircam"
    exposures = tuple(sorted(nircam.glob("*_uncal.fits")))
    return Small(Program(exposures, nircam / ASSOCIATION, nircam / TRUTH), folder / "crds")


@pytest.fixture(scope="session")
def roman(shared_folder: Path) -> RomanSample:
    """The sample of Roman; where romancal is not installed, tests that need it are skipped."""
    pytest.importorskip("romancal")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(shared_folder / "cache"))
        return roman_store.ensure_sample()


@pytest.fixture(scope="session")
def lantern_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from lantern.crds_cache import make_crds_cache

    return make_crds_cache(tmp_path_factory.mktemp("lantern") / "crds")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Start a temporary PostgreSQL; gives the URL of its database, as Prefect wants it."""
    from databases import postgres

    with postgres() as url:
        yield url


@pytest.fixture(scope="session")
def new_prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Make a folder of Prefect with a new database.

    Prefect takes 9 s to make one: the first is kept, until there is another Prefect.
    """
    kept = user_cache_path("stpipe_prefect") / "tests" / f"prefect-{version('prefect')}.db"

    def make_database(home: Path) -> None:
        command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
        environment = os.environ | {"PREFECT_HOME": str(home)}
        subprocess.run(command, env=environment, check=True, capture_output=True)
        kept.parent.mkdir(parents=True, exist_ok=True)
        whole = copy(home / "prefect.db", kept.with_suffix(f".{os.getpid()}"))
        Path(whole).replace(kept)

    def make() -> Path:
        home = tmp_path_factory.mktemp("prefect")
        kept.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(kept.with_suffix(".lock")):
            if not kept.exists():
                make_database(tmp_path_factory.mktemp("first"))
        copy(kept, home / "prefect.db")
        return home

    return make


@pytest.fixture(scope="session")
def prefect_url(new_prefect_home: Callable[[], Path]) -> Iterator[str]:
    """Start one Prefect server for all tests of this process: starting it takes 12 s of CPU."""
    from prefect_server import prefect_server

    with prefect_server(new_prefect_home()) as url:
        yield url


@pytest.fixture(scope="session")
def prefect_server(prefect_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have all that runs in this process report to that server."""
    from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

    from stpipe_prefect.orchestration.workarounds import send_what_is_queued

    home = tmp_path_factory.mktemp("prefect")
    with temporary_settings({PREFECT_API_URL: prefect_url, PREFECT_HOME: home}):
        yield
        send_what_is_queued()  # else Prefect tries for a minute when the server has gone


@pytest.fixture(scope="session")
def store_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """Start an object store."""
    with object_store(tmp_path_factory.mktemp("store")) as made:
        yield made


@pytest.fixture
def store(store_server: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """The object store, which what runs in this process uses, too."""
    from s3fs import S3FileSystem

    for name, value in store_server.environment.items():
        monkeypatch.setenv(name, value)
    S3FileSystem.clear_instance_cache()
    yield store_server
    S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="session")
def user(
    made_once: Callable[[str, Callable[[Path], object]], Path],
    shared_folder: Path,
    prefect_url: str,
) -> dict[str, str]:
    """The variables of a user with a Prefect server, whose commands find a warm process.

    Not those of what starts in an environment or a folder of Prefect of its own.
    """
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("CRDS_", "PREFECT_"))}
    here = Path(__file__).parent
    path = [str(here / name) for name in ("services", "mission")]  # pytest finds those, too
    path += filter(None, [inherited.get("PYTHONPATH")])
    common = {
        "PREFECT_HOME": str(shared_folder / "prefect"),
        "PYTHONPATH": os.pathsep.join(path),
        "XDG_CACHE_HOME": str(shared_folder / "cache"),
    }

    def start(folder: Path) -> None:
        folder.mkdir()
        warm.start(inherited | common)

    made_once("warm", start)
    return inherited | common | {"PREFECT_API_URL": prefect_url}


@pytest.fixture(scope="session")
def roman_products(
    user: dict[str, str],
    roman: RomanSample,
    made_once: Callable[[str, Callable[[Path], object]], Path],
) -> Path:
    """What the command makes of the sample of Roman, in `out`; not to be written into."""

    def make(folder: Path) -> None:
        folder.mkdir()
        command = [sys.executable, "-m", "flows.romancal", "--output-dir", str(folder / "out")]
        run = subprocess.run(command, env=user, capture_output=True, text=True)
        said = {"returncode": run.returncode, "stdout": run.stdout, "stderr": run.stderr}
        (folder / "said.json").write_text(json.dumps(said))

    return made_once("roman-products", make)


@pytest.fixture(scope="session")
def fork_server() -> None:
    """Have the processes of tests forked from one that has imported what they need."""
    from stpipe_prefect.execution.processes import use_warm_process

    use_warm_process(["misbehaving"])


@pytest.fixture
def mission(lantern_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a folder with one raw exposure of the miniature mission, `lantern`."""
    from crds.core import utils
    from lantern.model import Row

    monkeypatch.chdir(tmp_path)
    for variable in ("CRDS_SERVER_URL", "CRDS_CONTEXT", "STPIPE_DISABLE_CRDS_STEPPARS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("CRDS_PATH", str(lantern_cache))
    utils.clear_function_caches()
    Row([1.0, 10.0, 50.0, 100.0]).save("one_raw.row")
    yield tmp_path
    utils.clear_function_caches()


@pytest.fixture(scope="session")
def run_python() -> Callable[..., str]:
    """Run a piece of Python in a process where CRDS sees only what is given."""

    def run(code: str, *arguments: object, **crds: object) -> str:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("CRDS_")}
        result = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            env=inherited | {k: str(v) for k, v in crds.items()},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr[-3000:]
        return result.stdout

    return run


@dataclass(frozen=True)
class Products:
    """What plain jwst makes of the sample, and of the flight acquisition, under one context."""

    folder: Path
    context: str


CALIBRATE = """
import gc, json, sys
import jwst.pipeline

gc.collect()
gc.freeze()  # jwst collects garbage at every step: 0.1 s each time over its own modules
for pipeline, exposure in json.loads(sys.argv[1]):
    getattr(jwst.pipeline, pipeline).call(exposure, save_results=True, output_dir=sys.argv[2])
"""


CALIBRATED = 2
"""How many of the sample's exposures are calibrated for comparisons."""


@pytest.fixture(scope="session")
def calibration_jobs(sample: Sample) -> Callable[[Path], list[tuple[str, str]]]:
    """List what to calibrate, with its pipeline, when products go to a given folder.

    That is some of the exposures and their combination, and one exposure of each other kind.
    """

    def jobs(out: Path) -> list[tuple[str, str]]:
        exposures = sample.exposures[:CALIBRATED]
        table = json.loads(sample.association.read_text())
        del table["products"][0]["members"][CALIBRATED:]
        association = out / sample.association.name
        association.write_text(json.dumps(table))
        rates = [out / exposure.name.replace("_uncal", "_rate") for exposure in exposures]
        return [
            *(("Detector1Pipeline", str(exposure)) for exposure in exposures),
            *(("Image2Pipeline", str(rate)) for rate in rates),
            ("Image3Pipeline", str(association)),
            ("DarkPipeline", str(exposures[0])),
            ("Spec2Pipeline", str(sample.slit_exposure)),
            *(("GuiderPipeline", str(exposure)) for exposure in [ACQUISITION] if exposure.exists()),
        ]

    return jobs


@pytest.fixture(scope="session")
def truth(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of what was put into those exposures."""
    known = Truth.load(sample.truth)
    path = tmp_path_factory.mktemp("truth") / "truth.json"
    replace(known, exposures=known.exposures[:CALIBRATED]).save(path)
    return path


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Give the folder of all processes that run these tests side by side."""
    own = tmp_path_factory.getbasetemp()
    return own if worker_id == "master" else own.parent


@pytest.fixture(scope="session")
def made_once(shared_folder: Path) -> Callable[[str, Callable[[Path], object]], Path]:
    """Have a folder made by the process that needs it first; it gets its name when it is whole."""

    def once(name: str, make: Callable[[Path], object]) -> Path:
        folder = shared_folder / name
        with FileLock(f"{folder}.lock"):
            if not folder.exists():
                unfinished = folder.with_suffix(".unfinished")
                make(unfinished)
                unfinished.rename(folder)
        return folder

    return once


@pytest.fixture(scope="session")
def sample(shared_folder: Path) -> Sample:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(shared_folder / "cache"))
        return ensure_sample()


@pytest.fixture(scope="session")
def calibrated(
    made_once: Callable[[str, Callable[[Path], object]], Path],
    sample: Sample,
    run_python: Callable[..., str],
    calibration_jobs: Callable[[Path], list[tuple[str, str]]],
) -> Callable[[str], Products]:
    """Make, once for all processes, what plain jwst makes under a context."""

    def make(context: str) -> Products:
        def calibrate(out: Path) -> None:
            out.mkdir()
            run_python(
                CALIBRATE,
                json.dumps(calibration_jobs(out)),
                out,
                CRDS_PATH=sample.crds_path,
                CRDS_CONTEXT=context,
            )

        return Products(made_once(f"products-{context}", calibrate), context)

    return make
