"""Every product of both samples made again from its record, and by plain strun."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["calwebb", "romancal"])
def archive(request, shared_folder, tmp_path_factory):
    """The products of a sample, read-only, and the variables under which they are made again."""
    if request.param == "romancal":
        pytest.importorskip("romancal")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("CRDS_", "PREFECT_"))}
    home = str(tmp_path_factory.mktemp("prefect"))
    cache = shared_folder / "cache"
    environment = inherited | {"XDG_CACHE_HOME": str(cache), "PREFECT_HOME": home}
    folder = tmp_path_factory.mktemp("archive") / "products"
    command = [sys.executable, "-m", f"flows.{request.param}", "--output-dir", folder]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    sample = "sample" if request.param == "calwebb" else "roman_sample"
    (crds,) = cache.glob(f"stpipe_prefect/{sample}/*/crds")
    yield folder, environment | {"CRDS_PATH": str(crds)}
    folder.chmod(0o755)


def products(folder):
    return sorted(
        path
        for path in folder.iterdir()
        if not path.name.endswith((".log", ".provenance.json", ".quicklook.json"))
    )


def reproduce(environment, *arguments, cwd):
    command = [sys.executable, "-m", "stpipe_prefect", "reproduce", *arguments]
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True)


def test_every_product_is_bit_identical(archive, tmp_path):
    folder, environment = archive
    done = reproduce(environment, *products(folder), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(done.stdout.splitlines()) == [
        f"{path.name}: bit-identical" for path in products(folder)
    ]
    assert not any(tmp_path.iterdir())


def test_plain_strun_makes_the_same_of_what_is_exported(archive, tmp_path):
    folder, environment = archive
    made = [path for path in products(folder) if "mosaic" in path.name or "o001_t001" in path.name]
    assert made
    done = reproduce(environment, made[0], "--export", tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (script,) = tmp_path.glob("*.sh")
    lines = script.read_text().replace("strun", str(Path(sys.executable).with_name("strun")))
    subprocess.run(["sh", "-c", lines], env=environment, cwd=tmp_path, check=True)
    for path in made:
        command = [sys.executable, "-m", "flows.compare", path, tmp_path / path.name]
        compared = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert compared.returncode == 0, compared.stdout
