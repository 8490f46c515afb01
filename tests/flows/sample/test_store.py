"""The embedded sample on disk: complete or absent, made once, remade when its recipe changes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.sample import Sample, ensure_sample, store

MAKE = [sys.executable, "-c", "from flows.sample import ensure_sample; print(ensure_sample())"]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty user cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "stpipe_prefect" / "sample"


def folders(cache: Path) -> list[Path]:
    return [p for p in cache.glob("*") if p.is_dir()]


def complete(sample: Sample) -> bool:
    files = [*sample.exposures, sample.association, sample.slit_exposure, sample.truth]
    return len(sample.exposures) == 4 and all(f.is_file() for f in files)


def test_sample_is_complete_and_made_only_once(
    sample: Sample, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert complete(sample)
    assert (sample.crds_path / "mappings/jwst" / sample.contexts[0]).is_file()
    monkeypatch.setenv("XDG_CACHE_HOME", str(sample.folder.parents[2]))
    written = sample.truth.stat().st_mtime_ns
    assert ensure_sample() == sample
    assert sample.truth.stat().st_mtime_ns == written


def test_two_processes_at_once_get_the_same_sample(cache: Path) -> None:
    both = [subprocess.Popen(MAKE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    first, second = (process.communicate()[0] for process in both)
    assert first.startswith("Sample(")
    assert first == second
    assert len(folders(cache)) == 1


def test_killed_build_leaves_nothing_half(cache: Path) -> None:
    process = subprocess.Popen(MAKE)
    while process.poll() is None and not folders(cache):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (abandoned,) = folders(cache)
    sample = ensure_sample()
    assert complete(sample)
    assert folders(cache) == [sample.folder]
    assert abandoned != sample.folder


def test_another_recipe_makes_another_sample_and_one_no_longer_used_goes(
    sample: Sample, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outdated, in_use = cache / "outdated", cache / "in-use"
    outdated.mkdir(parents=True)
    in_use.mkdir()
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(outdated, (two_days_ago, two_days_ago))
    monkeypatch.setattr(store, "_recipe", lambda sources: "changed")
    changed = ensure_sample()
    assert set(folders(cache)) == {in_use, changed.folder}
    assert changed.folder.name == "changed" != sample.folder.name
    assert complete(changed)


def test_import_costs_nothing(run_python: Callable[..., str]) -> None:
    heavy = "{'numpy', 'astropy', 'asdf', 'crds', 'stdatamodels', 'jwst', 'prefect'}"
    code = f"import sys, flows.sample; print(sorted({heavy} & set(sys.modules)))"
    assert run_python(code).strip() == "[]"
