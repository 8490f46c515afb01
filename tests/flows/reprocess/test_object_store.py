"""An archive in a bucket, products beside the exposures."""

import json
import subprocess
import sys
from contextlib import suppress
from types import SimpleNamespace

import pytest
from astropy.io import fits
from gate import gate
from s3fs import S3FileSystem

from flows.calibrate.job import Job
from flows.calwebb.mission import JWST
from flows.reprocess.main import main
from flows.reprocess.previous import previous_products
from flows.reprocess.survey import Item, survey
from stpipe_prefect.exceptions import ParameterError
from stpipe_prefect.locks import locked
from stpipe_prefect.provenance.plans import Plan
from stpipe_prefect.remote.scratch import planning, scratch
from stpipe_prefect.remote.urls import local_path, url_of

# jwst has stpipe ask crds, which means to change
pytestmark = pytest.mark.filterwarnings("ignore:'get_cache_lock' is deprecated:DeprecationWarning")

IMAGE = "jw01234/jw01234001001_02101_00001_nrcb1_uncal.fits"
DARK = "jw01235/jw01235001001_02101_00001_nrcb1_uncal.fits"
NEWER = ("--context", "jwst_0002.pmap")


@pytest.fixture(scope="module")
def put(store_server, small, tmp_path_factory):
    """Put an exposure into the bucket."""
    folder = tmp_path_factory.mktemp("exposures")

    def put(name, kind, top):
        path = folder / name.rpartition("/")[2]
        with fits.open(small.program.exposures[0]) as hdus:
            hdus[0].header["EXP_TYPE"] = kind
            hdus[0].header["FILENAME"] = path.name
            hdus.writeto(path, overwrite=True)
        store_server.put(path, folder=f"{top}/{name.partition('/')[0]}")

    return put


@pytest.fixture(scope="module")
def start(environment, store_server, tmp_path_factory):
    """Start a command as a user does, with a scratch folder that is empty when it has ended."""
    place = tmp_path_factory.mktemp("scratch")
    common = environment | store_server.environment | {"STPIPE_SCRATCH": str(place)}

    def start(module, *arguments, **variables):
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env=common | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    start.scratch = place
    return start


@pytest.fixture(scope="module")
def run(start):
    def run(module, *arguments):
        with start(module, *arguments) as process:
            out, err = process.communicate()
        assert not [*start.scratch.iterdir()]
        return SimpleNamespace(returncode=process.returncode, stdout=out, stderr=err)

    return run


@pytest.fixture(scope="module")
def calibrated(store_server, put, run):
    """Two folders, made by the command of the mission, and what is no archive's business."""
    put(IMAGE, "NRC_IMAGE", "tree")
    put(DARK, "NRC_DARK", "tree")
    for name in (IMAGE, DARK):
        folder = f"s3://archive/tree/{name.partition('/')[0]}"
        done = run("flows.calwebb", f"{folder}/", "--output-dir", folder)
        assert done.returncode == 0, done.stderr
    for place in ("previous/2026-01-01T000000", "trials/one", ".hidden"):
        store_server.write(f"tree/jw01234/{place}/x_uncal.a.provenance.json", b"{}")
    store_server.files.call_s3("put_object", Bucket="archive", Key="tree/jw01234/", Body=b"")
    return store_server


def contents(store, folder="tree"):
    return {name: store.sha256(f"{folder}/{name}") for name in store.names(folder)}


@pytest.fixture(scope="module")
def planned(calibrated, run):
    """What the plan under another context says, and what it asked the store for."""
    before, asked = contents(calibrated), len(calibrated.asked())
    done = run("flows.reprocess", "s3://archive/tree/", "--plan", *NEWER)
    asked = calibrated.asked()[asked:]
    assert contents(calibrated) == before
    return SimpleNamespace(done=done, asked=asked)


def test_plan_names_the_reasons(planned):
    assert (planned.done.returncode, planned.done.stderr) == (0, "")
    first, *reasons, last = planned.done.stdout.splitlines()
    assert first.startswith(f"s3://archive/tree/{IMAGE}: ") and "gain 0001 → 0002" in first
    assert len(reasons) == 3
    assert last == "1 of 2 stale under jwst_0002.pmap: 0 done, 0 failed, 1 left"


def test_plan_says_when_the_products_were_made(planned, calibrated):
    name = IMAGE.replace(".fits", ".calwebb_detector1.provenance.json")
    made = calibrated.files.modified(f"archive/tree/{name}")
    (line,) = (each for each in planned.done.stdout.splitlines() if "reference gain" in each[:30])
    assert line.endswith(f"(newer than {made:%Y-%m-%d %H:%M} UTC)")


def fetched(asked):
    """List the objects of which something was fetched: of so small a one it is the whole."""
    names = {
        each.removeprefix("GET archive/tree/") for each in asked if each[:12] == "GET archive/"
    }
    assert not [name for name in names if "x_uncal" in name]
    return {name for name in names if not name.endswith(".provenance.json")}


def test_plan_fetches_records_and_headers(planned):
    header_of_input = IMAGE.replace("_uncal", "_rate")
    assert fetched(planned.asked) == {IMAGE, DARK, header_of_input}
    assert len([each for each in planned.asked if "list-type=2" in each]) <= 2


@pytest.fixture(scope="module")
def reprocessed(calibrated, planned, run):
    """The archive under the other context, and what was in it before."""
    before = contents(calibrated)
    done = run("flows.reprocess", "s3://archive/tree", "--keep-previous", "--json", *NEWER)
    assert (done.returncode, done.stderr) == (0, "")
    return SimpleNamespace(before=before, after=contents(calibrated), said=json.loads(done.stdout))


def test_only_what_is_stale_is_made_again_and_the_old_is_kept(reprocessed, run, store_server):
    before, after = reprocessed.before, reprocessed.after
    said = reprocessed.said
    assert (said["done"], said["left"], said["failed"]) == ([f"s3://archive/tree/{IMAGE}"], [], {})
    products = {name for name in before if name.startswith("jw01234/jw")}
    changed = {name for name in before if after[name] != before[name]}
    as_they_were = products - {IMAGE} - changed
    assert changed <= products and all(name.endswith(".quicklook.json") for name in as_they_were)
    added = {name: after[name] for name in after.keys() - before.keys()}
    assert {name.partition("/previous/")[0] for name in added} == {"jw01234"}
    assert {f"jw01234/{name.rpartition('/')[2]}": sha for name, sha in added.items()} == {
        name: before[name] for name in changed
    }

    asked = len(store_server.asked())
    again = run("flows.reprocess", "s3://archive/tree", *NEWER)
    assert again.stdout == "0 of 2 stale under jwst_0002.pmap: 0 done, 0 failed, 0 left\n"
    assert fetched(store_server.asked()[asked:]) == {IMAGE, DARK}
    assert contents(store_server) == after


@pytest.mark.slow
def test_killed_run_is_continued_by_the_next(put, start, run, store_server):
    put(IMAGE, "NRC_IMAGE", "killed")
    put(DARK, "NRC_DARK", "killed")
    with gate(store_server.url) as door:
        door.limit = 7  # in the middle of the second pipeline's
        with start("flows.reprocess", "s3://archive/killed", AWS_ENDPOINT_URL=door.url) as process:
            door.process = process.pid
            process.communicate()
        assert process.returncode == -9
        for lock in start.scratch.glob("*.lock"):  # until the processes of the exposures ended
            with suppress(OSError), locked(lock, 60):
                pass
    plan = json.loads(run("flows.reprocess", "s3://archive/killed", "--plan", "--json").stdout)
    assert plan["failed"] == {} and f"s3://archive/killed/{DARK}" in plan["left"]
    done = run("flows.reprocess", "s3://archive/killed")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].endswith("0 failed, 0 left")
    records = [name for name in store_server.names("killed") if name.endswith(".provenance.json")]
    assert len(records) == 3
    for name in records:
        for product in json.loads(store_server.read(f"killed/{name}"))["products"]:
            path = f"killed/{name.partition('/')[0]}/{product['path']}"
            assert store_server.sha256(path) == product["sha256"]


@pytest.fixture
def here(store, crds, tmp_path, monkeypatch):
    """Whoever runs the command in this process."""
    monkeypatch.setenv("STPIPE_SCRATCH", str(tmp_path / "scratch"))
    return store


def inputs(*archives):
    with planning():
        return [(url_of(item.input), item.error) for item in survey(archives, "jwst_0001.pmap")]


def test_pages_about_products_in_the_store(calibrated, run, start, tmp_path):
    page, other = tmp_path / "page.html", tmp_path / "other.html"
    done = run("flows.reprocess", "s3://archive/tree", "--report", str(page))
    assert (done.returncode, done.stderr) == (0, "")
    folder = "s3://archive/tree/jw01234"
    done = run("flows.report", f"{folder}/", "--output", str(other))
    assert (done.returncode, done.stderr) == (0, "")
    for text in (page.read_text(), other.read_text()):
        assert f"{folder}/{IMAGE.rpartition('/')[2].replace('_uncal', '_rate')}" in text
        assert '"jpeg":"' in text  # a quick look
        assert str(start.scratch) not in text
    assert "jw01235" in page.read_text() and "jw01235" not in other.read_text()


def test_page_about_nothing_in_the_store_is_refused(calibrated, run, tmp_path):
    for url, problem in (
        ("s3://archive/none", "s3://archive/none: no provenance record"),
        ("s3://none/products", "s3://none/products: there is no bucket s3://none"),
    ):
        done = run("flows.report", url, "--output", str(tmp_path / "page.html"))
        assert (done.returncode, done.stdout) == (1, "")
        assert problem in done.stderr and len(done.stderr.splitlines()) == 1
    assert not [*tmp_path.iterdir()]


def test_lists_in_the_store_and_here(here, calibrated, tmp_path):
    urls = [f"s3://archive/tree/{name}" for name in (IMAGE, DARK)]
    here.write("lists/some.txt", f"../tree/{IMAGE}\n\n {urls[1]} \n".encode())
    assert inputs("s3://archive/lists/some.txt") == [(url, "") for url in urls]
    (tmp_path / "some.txt").write_text(f"{urls[0]}\ns3://archive/tree/x_uncal.fits\n")
    absent, there = sorted(inputs(tmp_path / "some.txt"))[::-1]
    assert there == (urls[0], "")
    assert absent[1].endswith("x_uncal.fits: no such file")


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["s3://none/tree/"], 1, "s3://none/tree: there is no bucket s3://none"),
        (["s3://none"], 1, "s3://none: there is no bucket s3://none"),
        (["s3://archive/no/"], 1, "s3://archive/no/: no such object, and no folder of objects"),
        (["s3://archive/a.txt"], 1, "s3://archive/a.txt: no such object, and no folder of objects"),
        (["s3://archive/a.toml"], 1, "s3://archive/a.toml: is a campaign file: run it again with"),
        (["s3://archive//tree"], 2, "s3://archive//tree: expected a bucket and names, such as s3:"),
        (["s3://archive/raws/x_uncal.fits"], 1, "x_uncal.fits: expected a folder, or a text file"),
        (["s3://archive/raws", "--report", "."], 1, ".: the page cannot be written: this is a"),
    ],
)
def test_what_is_wrong_is_one_line(
    here, small, tmp_path, monkeypatch, capfd, arguments, code, line
):
    monkeypatch.chdir(tmp_path)
    here.write("raws/x_uncal.fits", small.program.exposures[0].read_bytes())
    assert main(arguments) == code
    out, err = capfd.readouterr()
    assert out == "" and line in err and len(err.splitlines()) == 1
    assert err.startswith("reprocess: ")


def test_says_that_there_are_no_credentials(here, tmp_path, monkeypatch, capfd):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    S3FileSystem.clear_instance_cache()
    assert main(["s3://archive/tree", "--plan"]) == 1
    assert capfd.readouterr().err.startswith("reprocess: s3://archive/tree: no credentials; set")


def test_run_of_a_deployment_reads_only_what_it_may(here, tmp_path, monkeypatch):
    from flows.reprocess.flow import reprocess

    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "any")
    monkeypatch.setenv("STPIPE_PREFECT_INPUT_ROOTS", "s3://archive/may")
    with pytest.raises(ParameterError, match=r"'s3://archive/raws' is not below s3://archive/may"):
        reprocess.fn(archive=["s3://archive/raws"])
    here.write("may/list.txt", b"../raws/x_uncal.fits\n/etc/x_uncal.fits\n")
    before = len(here.asked())
    with planning(), pytest.raises(ParameterError) as caught:
        survey(["s3://archive/may/list.txt"])
    first, second = str(caught.value).splitlines()
    assert "'s3://archive/raws/x_uncal.fits' is not below" in first
    assert "'/etc/x_uncal.fits' is not below" in second
    assert not [each for each in here.asked()[before:] if "raws" in each]


@pytest.mark.parametrize("replaced", [True, False])
def test_previous_products_are_kept_if_others_replace_them(here, replaced):
    name = f"kept{replaced}"
    here.write(f"{name}/1_rate.fits", b"old")
    with scratch("test", "a test"):
        folder = local_path(f"s3://archive/{name}")
        products = (folder / "1_rate.fits", folder / "1_absent.fits")
        plan = Plan("1_uncal.fits", "calwebb_detector1", ("a reason",), products)
        item = Item(Job(folder / "1_uncal.fits", (plan.pipeline,), plans=(plan,)), JWST, "")
        with previous_products([item], "now"):
            if replaced:
                here.write(f"{name}/1_rate.fits", b"new")
    kept = {f"{name}/previous/now/1_rate.fits"} if replaced else set()
    assert {f"{name}/{each}" for each in here.names(name)} == kept | {f"{name}/1_rate.fits"}
    assert all(here.read(each) == b"old" for each in kept)
