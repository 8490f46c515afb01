"""Products made again from their records alone, of the miniature mission."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from lantern.model import Row
from lantern.pipelines import CalibratePipeline

from stpipe_prefect import as_flow
from stpipe_prefect.cli.main import main

pytestmark = pytest.mark.filterwarnings("default::Warning")  # Prefect's own

CALIBRATE = as_flow(CalibratePipeline)
DARK = "references/jwst/nircam/jwst_nircam_dark_0001.json"


def scale(data):
    """Double the pixels, as a hook."""
    return Row([2 * pixel for pixel in data.data])


@pytest.fixture
def product(mission, lantern_cache, monkeypatch, prefect_server):
    """A product of parameters of its own, with a cache of its own."""
    cache = shutil.copytree(lantern_cache, mission / "crds")
    monkeypatch.setenv("CRDS_PATH", str(cache))
    clip = {"low": 3.0, "high": float("inf"), "save_results": True}
    steps = {"dark": {"scale": 2.0}, "clip": clip}
    made = CALIBRATE("one_raw.row", output_dir="archive", steps=steps)
    return next(Path(path) for path in made if path.endswith("_cal.row"))


def reproduce(*arguments):
    return main(["reproduce", *map(str, arguments)])


def test_is_the_same_from_another_folder_and_nothing_is_left(
    product, tmp_path, monkeypatch, capsys
):
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))
    elsewhere = tmp_path / "elsewhere"
    monkeypatch.chdir(tmp_path.parent)
    assert reproduce(product.absolute() if product.is_absolute() else tmp_path / product) == 0
    assert capsys.readouterr().out.splitlines() == [
        "one_cal.row: bit-identical",
        "one_clip.row: bit-identical",
    ]
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")) == before
    assert main(["provenance", str(tmp_path / product), "--json"]) == 0
    json.loads(capsys.readouterr().out, parse_constant=pytest.fail)  # has no infinity
    assert reproduce(tmp_path / product, "--output-dir", elsewhere) == 0
    assert (elsewhere / "one_cal.row").read_bytes() == (tmp_path / product).read_bytes()
    assert reproduce(tmp_path / product, "--output-dir", elsewhere) == 1
    assert capsys.readouterr().err == (
        f"error: {elsewhere} has one_cal.row: choose an empty folder\n"
    )


def test_products_of_the_same_name_may_be_in_two_folders(product, tmp_path, capsys):
    shutil.copytree(product.parent, "copy")
    assert reproduce(product, Path("copy", product.name)) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_archive_may_be_moved(product, tmp_path):
    (tmp_path / "archive").rename(tmp_path / "moved")
    (tmp_path / "one_raw.row").rename(tmp_path / "moved/one_raw.row")
    assert reproduce(tmp_path / "moved" / product.name) == 0


def test_context_is_that_of_the_record(product, monkeypatch):
    monkeypatch.setenv("CRDS_CONTEXT", "jwst_0002.pmap")
    assert reproduce(product) == 0


def test_what_is_gone_or_changed_is_named_before_anything_runs(product, tmp_path, capsys):
    raw, dark = tmp_path / "one_raw.row", tmp_path / "crds" / DARK
    Row([1.0]).save(str(raw))
    dark.write_text("7.0 \n")
    folder = tmp_path / "new"
    assert reproduce(product, "--output-dir", folder) == 1
    record = "one_raw.lantern_calibrate.provenance.json"
    changed, other = capsys.readouterr().err.splitlines()
    assert changed.startswith(f"error: {record}: input {raw} changed: its sha256 was ")
    assert other.startswith(
        f"error: {record}: reference {dark.name} of dark changed: the sha1 of {dark} was "
    )
    assert not folder.exists()
    raw.unlink()
    dark.unlink()
    assert reproduce(product) == 1
    gone, other = capsys.readouterr().err.splitlines()
    assert gone == f"error: {record}: input {raw} is gone, or cannot be read"
    assert other.startswith(f"error: {record}: reference {dark.name} of dark is gone: ")


@pytest.mark.usefixtures("mission", "prefect_server")
def test_what_was_given_as_an_object_is_named(capsys):
    steps = {"flat": {"post_hooks": [lambda data: data]}}
    (product,) = CALIBRATE(Row.open("one_raw.row"), output_dir="made", steps=steps)
    for options in ((), ("--export", "paper")):  # which would be another run
        assert reproduce(product, *options) == 1
        assert capsys.readouterr().err.splitlines() == [
            "error: one_raw.lantern_calibrate.provenance.json: parameter flat.post_hooks was given "
            "as an object, of which the record has only the type",
            "error: one_raw.lantern_calibrate.provenance.json: input one_raw.row was given as an "
            "open model",
        ]
    assert not Path("paper").exists()


@pytest.mark.usefixtures("mission", "prefect_server")
def test_hook_whose_module_is_elsewhere_is_named(tmp_path, monkeypatch, capsys):
    Path("aside").mkdir()
    Path("aside/nearby_hooks.py").write_text("def leave(data):\n    return data\n")
    steps = {"flat": {"post_hooks": ["nearby_hooks.leave"]}}
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path / "aside")
        (product,) = CALIBRATE("one_raw.row", output_dir="made", steps=steps)
        assert reproduce(product) == 0
    monkeypatch.delitem(sys.modules, "nearby_hooks")
    assert reproduce(product) == 1
    assert "flat.post_hooks: " in (err := capsys.readouterr().err) and "nearby_hooks" in err


def test_record_of_another_release_or_hand(product, monkeypatch, capsys):
    path = next(product.parent.glob("*.provenance.json"))
    record = json.loads(path.read_text())
    row = {"step": "clip", "parameter": "width", "value": 3, "source": "default"}
    path.write_text(json.dumps({**record, "parameters": [*record["parameters"], row]}))
    assert reproduce(product) == 2
    assert capsys.readouterr().err.startswith("error: lantern_calibrate: there is no parameter")
    record["run"]["name"], record["context"] = "../elsewhere", "jwst_0001.pmap\ntouch touched"
    record["software"]["lantern"] = "1.0\ntouch touched"
    path.write_text(json.dumps(record))
    assert reproduce(product, "--export", "paper") == 0
    assert len(list(Path("paper").iterdir())) == 3
    bash = {"PATH": "/nowhere"}
    subprocess.run(["/bin/sh", *Path("paper").glob("*.sh")], env=bash, stderr=subprocess.PIPE)
    assert not Path("touched").exists()


def test_difference_is_said_with_what_could_be_its_cause(product, capsys):
    row = Row.open(product)
    row.data[0] += 1
    row.save(str(product))
    assert reproduce(product) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "one_clip.row: bit-identical"
    assert out[1].startswith("one_cal.row: different: ")
    assert out[2:] == [f"  possible cause: {product} was changed since it was made"]


def test_product_that_is_lost_does_not_end_it(product, tmp_path, capsys):
    clipped = product.with_name("one_clip.row")
    clipped.unlink()
    assert reproduce(product, "--output-dir", "new") == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "one_cal.row: bit-identical"
    assert out[1].startswith("one_clip.row: made again, but not compared: ")
    assert Path("new/one_clip.row").is_file()


def test_version_is_a_possible_cause(product, capsys):
    path = next(product.parent.glob("*.provenance.json"))
    record = json.loads(path.read_text())
    record["software"]["numpy"] = "1.0"
    path.write_text(json.dumps(record))
    row = Row.open(product)
    row.save(str(product.with_name("one_cal.row")))
    product.write_text(product.read_text() + "\n")
    assert reproduce(path) == 1
    assert "  possible cause: numpy 1.0 → " in capsys.readouterr().out


def test_export_is_all_that_another_command_needs(product, tmp_path, monkeypatch, capsys):
    assert reproduce(product, "--export", "paper") == 0
    name = "one_raw.lantern_calibrate"
    assert capsys.readouterr().out.splitlines() == [
        f"paper/{name}.{kind}" for kind in ("provenance.json", "asdf", "sh")
    ]
    *about, command = Path(f"paper/{name}.sh").read_text().splitlines()
    assert about[-1] == "export CRDS_CONTEXT=jwst_0001.pmap"
    program, *arguments = command.split()
    assert program == "strun"
    monkeypatch.chdir("paper")
    monkeypatch.setenv("CRDS_CONTEXT", "jwst_0001.pmap")
    assert main(["run", *arguments]) == 0  # takes what strun takes
    assert Path("one_cal.row").read_bytes() == (tmp_path / product).read_bytes()
