"""Every command that a page shows runs, in the order of the page, and answers what is shown."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pages import PAGES, ROOT, answers, bare, blocks, script

SECONDS = 600

ENGINE = "needs a container engine: tests/operations/test_compose.py judges the files"
SERVICE = "runs until it is ended: tests/orchestration/test_browser.py, tests/operations"
LOCAL = "starts processes that stay, at fixed ports: tests/operations"
CLUSTER = "needs several machines: tests/orchestration/test_runners.py has a cluster on one"
SLURM = "needs a cluster: tests/orchestration/test_slurm.py has one of two nodes on one machine"
STORE = "needs a bucket: tests/flows/calwebb/test_object_store.py"
ARCHIVE = "needs a bucket: tests/flows/reprocess/test_object_store.py"
POOL = "needs a pool of the archive: tests/flows/calwebb/associations/test_pool.py"
ROMAN = "needs exposures of Roman: tests/flows/romancal/test_command.py"

BLOCK = "needs a block: tests/operations/test_health.py has one"
PODS = "puts deployments where no worker is: tests/operations/test_pools.py judges them"
DATABASE = "needs a container engine: tests/operations/test_service.py has the database"

COMPOSE = "docker compose --file docker/compose.yaml"

ELSEWHERE = {
    "README.md": {
        "make calwebb": "docs/tutorial.md has it, too",
        "make test": "this is part of it",
        "make up ARCHIVE=archive": LOCAL,
        "python -m flows.reprocess archive --plan": "docs/howto-reprocess.md has it, too",
        "python -m flows.reprocess archive": "docs/howto-reprocess.md has it, too",
    },
    "howto-associate.md": {
        "python -m flows.calwebb raw/ --associate --pool jw01234_20220712t000000_pool.csv": POOL,
    },
    "howto-cluster.md": {
        "dask scheduler": CLUSTER,
        "dask worker tcp://scheduler.example:8786 --nworkers 8 --nthreads 1": CLUSTER,
        "python -m flows.calwebb raw/ --output-dir /shared/products"
        " --runner dask://scheduler.example:8786": CLUSTER,
    },
    "howto-deploy.md": {
        "make up ARCHIVE=archive": LOCAL,
        "make up ARCHIVE=archive PORT=4300": LOCAL,
        "make down": LOCAL,
        f"{COMPOSE} up --build --detach": ENGINE,
        f"{COMPOSE} ps": ENGINE,
        f"{COMPOSE} exec worker python deployments/deploy.py": ENGINE,
        "export PREFECT_API_URL=http://127.0.0.1:4200/api": LOCAL,
        'export PREFECT_API_AUTH_STRING="$(cat .prefect/credentials)"': LOCAL,
        "prefect worker start --pool process": SERVICE,
    },
    "howto-slurm.md": {
        "export PREFECT_API_URL=http://prefect.example:4200/api": SLURM,
        "python -m flows.calwebb /shared/raw --output-dir /shared/products"
        " --runner 'slurm://compute?mem=64G&time=6h'": SLURM,
        "export SBATCH_ACCOUNT=jwst SBATCH_QOS=long": SLURM,
    },
    "howto-operate.md": {
        "prefect block register --module prefect.blocks.notifications": BLOCK,
        "prefect block ls": BLOCK,
        "prefect automation create --from-file deployments/notifications.yaml": BLOCK,
        "python deployments/deploy.py --pool docker": PODS,
        "python deployments/deploy.py --pool kubernetes": PODS,
        f"{COMPOSE} exec -T postgres pg_dump --username prefect --format custom prefect"
        " > prefect.dump": DATABASE,
        f"{COMPOSE} stop server services worker": ENGINE,
        f"{COMPOSE} exec postgres dropdb --username prefect --force prefect": DATABASE,
        f"{COMPOSE} exec postgres createdb --username prefect prefect": DATABASE,
        f"{COMPOSE} exec -T postgres pg_restore --username prefect --dbname prefect --exit-on-error"
        " --no-owner < prefect.dump": DATABASE,
        f"{COMPOSE} up --detach": ENGINE,
    },
    "howto-s3.md": {
        "pip install 'stpipe_prefect[jwst,s3]'": "the environment of the tests has it",
        "python -m flows.calwebb s3://archive/raw/ --output-dir s3://archive/products": STORE,
        "python -m flows.calwebb 's3://archive/raw/*_uncal.fits' --output-dir products": STORE,
        "python -m flows.calwebb raw/ --output-dir s3://archive/products --plan": STORE,
        "python -m flows.reprocess s3://archive/jwst/ --plan": ARCHIVE,
        "python -m flows.reprocess s3://archive/jwst/ --limit 50 --keep-previous": ARCHIVE,
        "python -m flows.reprocess s3://archive/lists/tonight.txt": ARCHIVE,
        "python -m flows.reprocess tonight.txt": ARCHIVE,
    },
    "many-exposures.md": {
        "python -m flows.calwebb raw/ --output-dir products": "README.md has it, with --jobs",
    },
    "roman.md": {
        "python -m flows.romancal": ROMAN,
        "python -m flows.romancal raw/ --jobs 2": ROMAN,
        "python -m flows.romancal raw/ --associate by=filter": ROMAN,
        "python -m flows.romancal raw/*_uncal.asdf --plan --context roman_0043.pmap": ROMAN,
        "python -m flows.romancal raw/*_uncal.asdf --steps.source_catalog.snr_threshold=5": ROMAN,
    },
    "tutorial.md": {
        ". .venv/bin/activate": "the environment of the tests is what it is about",
        "python -m flows.calwebb raw/*_uncal.fits --output-dir products": "README.md has more",
        "make up": LOCAL,
        "make down": LOCAL,
    },
}
"""By page, what is not run here, and why."""

INSTEAD = {"make calwebb": "python -m flows.calwebb"}
"""What a target of the Makefile runs, without making its environment anew."""

PROMPTED = [
    # What every user meets first is run every time.
    pytest.param(page, marks=[] if page.name == "README.md" else pytest.mark.slow)
    for page in PAGES
    if page.name != "cli.md"  # `make docs` runs what is in that
]


@pytest.fixture(scope="module")
def make_desk(small, sample, prefect_url):
    """Make a folder as a reader may have it, and the environment: exposures, a CRDS cache."""
    inherited = {
        k: v for k, v in os.environ.items() if not k.startswith(("CRDS_", "PREFECT_", "STPIPE_"))
    }

    def make(folder):
        for name in ("raw", "archive"):
            (folder / name).mkdir()
        for path in (*small.program.exposures, small.program.association):
            shutil.copy(path, folder / "raw")
        shutil.copy(small.program.exposures[0], folder / "archive")
        for name in ("deployments", "docker"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns(".env"))
        return inherited | {
            "CRDS_PATH": str(small.crds_path),
            "DO_NOT_TRACK": "1",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PREFECT_API_URL": prefect_url,
            "PREFECT_HOME": str(folder / "prefect"),
            "STPIPE_PREFECT_CHECKPOINTS": str(folder / "checkpoints"),
            "XDG_CACHE_HOME": str(sample.folder.parents[2]),
        }

    return make


@pytest.fixture(scope="module")
def followed(request, make_desk, tmp_path_factory):
    """Do what the pages say, two at a time: most of it is Python starting up."""

    def follow(page):
        folder = tmp_path_factory.mktemp(page.stem)
        environment = make_desk(folder)
        lines = script(page, folder, ELSEWHERE.get(page.name, {}), INSTEAD)
        (folder / "page.sh").write_text("\n".join(lines))
        return subprocess.run(
            ["bash", "page.sh"],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    wanted = [
        item.callspec.params for item in request.session.items if "followed" in item.fixturenames
    ]
    with ThreadPoolExecutor(2) as pool:
        yield {each["page"]: pool.submit(follow, each["page"]) for each in wanted}


@pytest.mark.parametrize("page", PROMPTED, ids=lambda page: page.name)
def test_what_a_page_says_can_be_done(page, followed):
    done = followed[page].result()
    assert done.returncode == 0, done.stdout[-3000:]
    skipped = ELSEWHERE.get(page.name, {})
    absent = [
        line
        for block in blocks(page)
        if any(bare(command) not in skipped for command in block.commands)
        for line in block.shown
        if not answers(line, done.stdout)
    ]
    assert absent == [], done.stdout


def test_what_is_left_out_is_there():
    shown = {
        page.name: {bare(command) for block in blocks(page) for command in block.commands}
        for page in PAGES
    }
    gone = {(name, command) for name in ELSEWHERE for command in ELSEWHERE[name]} - {
        (name, command) for name in shown for command in shown[name]
    }
    assert gone == set()
    assert set(INSTEAD) <= set.union(*shown.values())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_where_they_are_run(page):
    others = [block for block in blocks(page) if block.language not in ("console", "python")]
    prompted = ("$ ", "python -m ", "make ", "prefect ", "docker ")
    assert [block for block in others if block.text.startswith(prompted)] == []
