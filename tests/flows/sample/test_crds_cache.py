"""What CRDS makes of the miniature cache."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asdf
import pytest

from flows.sample import make_crds_cache

CONTEXTS = ("jwst_0001.pmap", "jwst_0002.pmap")
BEST_REFERENCES = """
import json, sys
import crds
from stdatamodels.jwst.datamodels import read_metadata

exposure, *contexts = sys.argv[1:]
parameters = read_metadata(exposure, flatten=True)
best = {}
for context in contexts:
    instrument = crds.get_cached_mapping(context).get_imap(parameters["meta.instrument.name"])
    best[context] = crds.getrecommendations(
        parameters, reftypes=tuple(instrument.selections), context=context, observatory="jwst"
    )
print(json.dumps(best))
"""


@pytest.fixture(scope="module")
def best_references(small: Any, run_python: Callable[..., str]) -> dict[str, dict[str, str]]:
    """Best references of a NIRCam exposure under either context: file name by type."""
    exposure = small.program.exposures[0]
    answer = run_python(BEST_REFERENCES, exposure, *CONTEXTS, CRDS_PATH=small.crds_path)
    best: dict[str, dict[str, str]] = json.loads(answer.splitlines()[-1])
    return best


def served(references: dict[str, str]) -> dict[str, str]:
    return {t: name for t, name in references.items() if not name.startswith("NOT FOUND")}


def test_contexts_differ_in_flat_gain_and_jump_parameters_alone(
    best_references: dict[str, dict[str, str]],
) -> None:
    old, new = best_references.values()
    changed = {reftype for reftype in old if old[reftype] != new[reftype]}
    assert changed == {"flat", "gain", "pars-jumpstep"}


def test_every_best_reference_is_in_the_cache(
    best_references: dict[str, dict[str, str]], small: Any
) -> None:
    for references in best_references.values():
        assert len(served(references)) > 15
        for name in served(references).values():
            assert (small.crds_path / "references/jwst/nircam" / name).is_file()


def test_operational_context_is_the_first(run_python: Callable[..., str], small: Any) -> None:
    code = "import crds; print(crds.get_context_name('jwst'))"
    assert run_python(code, CRDS_PATH=small.crds_path).split() == ["jwst_0001.pmap"]


def test_jump_threshold_differs_between_contexts_and_from_the_code(
    best_references: dict[str, dict[str, str]], small: Any
) -> None:
    def threshold(references: dict[str, str]) -> float:
        name = references["pars-jumpstep"]
        with asdf.open(small.crds_path / "references/jwst/nircam" / name) as parameters:
            return float(parameters["parameters"]["rejection_threshold"])

    in_code = 4.0
    assert len({in_code, *map(threshold, best_references.values())}) == 3


def test_cache_is_made_again_with_same_bytes(tmp_path: Path) -> None:
    def contents(folder: Path) -> dict[Path, bytes]:
        files = (p for p in folder.rglob("*") if p.is_file())
        return {p.relative_to(folder): p.read_bytes() for p in files}

    first, second = (make_crds_cache(tmp_path / name, size=64, groups=5) for name in "ab")
    assert contents(first) == contents(second)
