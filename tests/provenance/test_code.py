"""Which packages and modules make the products of which step."""

import sys
from importlib.metadata import version
from types import SimpleNamespace

import pytest

from stpipe_prefect.provenance.code import Code
from stpipe_prefect.provenance.dependencies import Dependencies, differences
from stpipe_prefect.provenance.imports import code_sha256, imports_within
from stpipe_prefect.provenance.packages import versions

STEPS = {
    "group_scale": "jwst.group_scale.group_scale_step.GroupScaleStep",
    "dq_init": "jwst.dq_init.dq_init_step.DQInitStep",
    "saturation": "jwst.saturation.saturation_step.SaturationStep",
    "ipc": "jwst.ipc.ipc_step.IPCStep",
    "superbias": "jwst.superbias.superbias_step.SuperBiasStep",
    "jump": "jwst.jump.jump_step.JumpStep",
    "ramp_fit": "jwst.ramp_fitting.ramp_fit_step.RampFitStep",
    "tweakreg": "jwst.tweakreg.tweakreg_step.TweakRegStep",
    "skymatch": "jwst.skymatch.skymatch_step.SkyMatchStep",
    "outlier_detection": "jwst.outlier_detection.outlier_detection_step.OutlierDetectionStep",
    "resample": "jwst.resample.resample_step.ResampleStep",
    "source_catalog": "jwst.source_catalog.source_catalog_step.SourceCatalogStep",
    "assign_mtwcs": "jwst.assign_mtwcs.assign_mtwcs_step.AssignMTWcsStep",
}
USING_STCAL = [
    *("saturation", "jump", "ramp_fit", "tweakreg", "skymatch", "outlier_detection", "resample"),
    "assign_mtwcs",
]
SOME = "saturation, jump, ramp_fit, tweakreg, skymatch and 3 more"
STCAL_CHANGED = f"stcal 0.1 → {version('stcal')} ({SOME})"


def step(path, parts=None, *, skip=False, hooks=()):
    """A configured step of a class that is not imported, which its code need not be."""
    module, _, name = path.rpartition(".")
    parts = parts or {}
    made = type(
        name, (), {"__module__": module, "step_defs": {k: type(v) for k, v in parts.items()}}
    )()
    vars(made).update(parts, skip=skip, pre_hooks=[*hooks], post_hooks=[], config_file=None)
    return made


def image3(**skipped):
    """The pipeline, with some steps of others."""
    steps = {name: step(path, skip=skipped.get(name, False)) for name, path in STEPS.items()}
    return step("jwst.pipeline.calwebb_image3.Image3Pipeline", steps)


def concerned(rows):
    return {row["name"]: [name for name in row["steps"] if name] for row in rows}


def made_with(code, pipeline="jwst.pipeline.Image3Pipeline", software=None):
    return Dependencies(pipeline, "jwst", "", "", "", [], [], [], software or {}, code=code)


@pytest.fixture
def user_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "stpipe_prefect" / "imports"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of modules that are in no distribution."""
    monkeypatch.syspath_prepend(tmp_path)
    for name in [*sys.modules]:  # other tests in this process have modules of such names
        if name.partition(".")[0] in ("aside", "hook", "mine"):
            monkeypatch.delitem(sys.modules, name)
    before = {*sys.modules}
    yield tmp_path
    for name in {*sys.modules} - before:
        del sys.modules[name]


def test_packages_of_jwst_concern_the_steps_that_import_them(user_cache):
    rows, opaque = Code().of(image3())
    assert opaque == []
    assert {row["name"]: (row["version"], row["sha256"]) for row in rows} == {
        name: (version(name), "") for name in concerned(rows)
    }
    assert concerned(rows) == {
        "jwst": [*STEPS],
        "stdatamodels": [*STEPS],
        "stcal": USING_STCAL,
        "drizzle": ["outlier_detection", "resample"],
        "gwcs": ["tweakreg", "skymatch", "outlier_detection", "resample", "assign_mtwcs"],
        "photutils": ["tweakreg", "source_catalog"],
        "spherical_geometry": ["tweakreg", "skymatch", "outlier_detection", "resample"],
        "tweakwcs": ["tweakreg"],
    }
    skipping = concerned(Code().of(image3(tweakreg=True))[0])
    assert "tweakwcs" not in skipping and skipping["photutils"] == ["source_catalog"]


def test_damaged_cache_is_computed_again_and_unwritable_one_does_without(user_cache):
    packages = {"drizzle": version("drizzle"), "gwcs": version("gwcs")}
    found = imports_within(packages)
    assert "gwcs.wcs" in found and all({*names} <= {*found} for names in found.values())
    (file,) = user_cache.iterdir()
    for damaged in ('{"gwcs": ["gw', '{"gwcs": 1}', "[]"):
        file.write_text(damaged)
        assert imports_within(packages) == found
    file.write_text('{"gwcs": []}')
    assert imports_within(packages) == {"gwcs": []}  # it is what is asked
    assert imports_within(packages | {"gwcs": ""}) == found  # unless the files may change
    file.unlink()
    user_cache.rmdir()
    user_cache.write_text("no folder")
    assert imports_within(packages) == found


def test_package_that_cannot_be_read_may_import_any(folder, user_cache):
    (folder / "broken").mkdir()
    (folder / "broken/__init__.py").write_text("def broken(:")
    assert imports_within({"broken": "1", "drizzle": "2"})["broken"] == ["broken", "drizzle"]
    assert not user_cache.exists()


def test_reasons_name_the_steps():
    rows, _ = Code().of(image3())
    before = made_with(
        [{**row, "version": "0.1"} if row["name"] == "stcal" else row for row in rows]
    )
    now = made_with(rows)
    assert [*differences(before, now)] == [STCAL_CHANGED]
    assert [*differences(before, now, ["versions"])] == []
    assert before.fingerprint != now.fingerprint
    now = made_with(Code().of(image3(**dict.fromkeys(USING_STCAL, True)))[0])
    assert [*differences(before, now)] == []  # that steps are skipped is a parameter


def test_record_of_the_first_edition_counts_what_it_lists_and_its_steps_use():
    rows, _ = Code().of(image3())
    listed = {row["name"]: row["version"] for row in rows if row["name"] != "drizzle"}
    listed |= {"roman_datamodels": "0.1", "numpy": "0.1"}
    assert [*differences(made_with(None, software=listed), made_with(rows))] == []
    listed |= {"stcal": "0.1", "stdatamodels": "0.1"}
    assert [*differences(made_with(None, software=listed), made_with(rows))] == [
        STCAL_CHANGED,
        f"stdatamodels 0.1 → {version('stdatamodels')}",
    ]


def test_local_modules_count_by_their_code(folder):
    (folder / "mine").mkdir()
    files = {
        "mine/__init__.py": "from . import other",
        "mine/steps.py": "from .tools import twice\nimport aside, numpy, stpipe_prefect\n",
        "mine/tools.py": "def twice(x):\n    return 2 * x\n",
        "mine/other.py": "OTHER = 1\n",
        "aside.py": "import mine.deep.down as down\n",
        "mine/deep/down.py": "from .... import nothing\n",
        "hook.py": "from mine import tools\ndef fix(x):\n    return x\n",
    }
    (folder / "mine/deep").mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)

    def code(*hooks):
        rows, opaque = Code().of(step("mine.steps.FirstStep", hooks=hooks))
        assert opaque == []
        return {row["name"]: row["sha256"] for row in rows}

    made = code()
    assert {*made} == {"mine.steps", "mine.tools", "aside", "mine.deep.down"}
    assert {*code("hook.fix")} == {*made, "hook"}
    rows, _ = Code().of(step("mine.steps.FirstStep"))
    assert Code().is_still(rows)
    (folder / "mine/tools.py").write_text(
        '# Now\ndef twice(x):\n    """Double."""\n    return (2*x)'
    )
    (folder / "mine/other.py").write_text("OTHER = 2\n")
    assert code() == made and Code().is_still(rows)
    (folder / "mine/tools.py").write_text("def twice(x):\n    return 3 * x\n")
    assert [name for name in made if code()[name] != made[name]] == ["mine.tools"]
    assert not Code().is_still(rows)
    (folder / "mine/tools.py").write_text("def twice(x:\n")
    assert code()["mine.tools"] != made["mine.tools"]


def test_code_without_a_file_counts_by_its_source_or_is_opaque(folder, monkeypatch):
    def fix(data):
        return data

    fix.__module__ = "__main__"
    (row,) = (row for row in Code().of(step("mine.S", hooks=[fix]))[0] if "fix" in row["name"])
    assert row["sha256"] == code_sha256("def fix(data):\n    return data")
    typed_in = {}
    exec("def fix(data): pass", typed_in)
    typed_in["fix"].__module__ = "__main__"
    _, opaque = Code().of(step("mine.S", hooks=[typed_in["fix"]]))
    assert "code of __main__.fix" in opaque


def test_version_of_editable_code_does_not_say_all(folder, user_cache):
    place = folder / "site"
    info = place / "mystar-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-star\nVersion: 1.0\n")
    info.rename(place / "my_star-1.0.dist-info")
    (place / "my_star").mkdir()
    (place / "my_star/__init__.py").write_text("")
    (place / "my_star/steps.py").write_text("from my_star import tools\n")
    (place / "my_star/tools.py").write_text("FACTOR = 2\n")
    sys.path.insert(0, str(place))

    def code():
        rows, _ = Code().of(step("my_star.steps.FirstStep"))
        return {row["name"]: (row["version"], bool(row["sha256"])) for row in rows}, rows

    named, rows = code()
    assert named == {"my_star": ("1.0", False)} and Code().is_still(rows)
    url = '{"url": "file:///somewhere", "dir_info": {"editable": true}}'
    (place / "my_star-1.0.dist-info/direct_url.json").write_text(url)
    named, rows = code()
    tools = {"my_star.steps": ("", True), "my_star.tools": ("", True)}
    assert named == {"my_star": ("1.0", False), **tools}
    (place / "my_star/tools.py").write_text("FACTOR = 3\n")
    (reason,) = differences(made_with(rows), made_with(code()[1]))
    assert reason == "code of my_star.tools changed"


def test_everything_that_jwst_requires_is_recorded():
    recorded = versions("jwst")
    for name in ("jwst", "stcal", "drizzle", "scipy", "scikit_image", "asdf", "stpipe", "python"):
        assert name in recorded
    assert "pytest" not in recorded


def test_step_that_hooks_name_by_a_call_is_code():
    hooks = [SimpleNamespace, "jwst.jump.jump_step.JumpStep(skip=True)", "shell: true {0}"]
    assert concerned(Code().of(step("nowhere.S", hooks=hooks[2:]))[0]) == {}
