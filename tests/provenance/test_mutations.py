"""Whatever can change a product is noticed by a plan, with the reason; what cannot, is not."""

import json
import random
import re
import shutil
import sys
from contextlib import contextmanager

import pytest
from lantern.model import Row

from stpipe_prefect import as_flow
from stpipe_prefect.cli.main import main
from stpipe_prefect.provenance.dependencies import Dependencies
from stpipe_prefect.provenance.record import SUFFIX, read_record

pytestmark = [
    pytest.mark.filterwarnings("default::Warning"),  # Prefect's own
    pytest.mark.usefixtures("prefect_server"),
]

FILES = {
    "night/__init__.py": '"""Pipelines of a night."""\n',
    "night/steps.py": '''
"""Steps that somebody writes."""
from lantern.steps import LanternStep
from night.helper import factor

class GainStep(LanternStep):
    """Multiply."""
    spec = "scale = float(default=1.0)  # Times the helper's factor"
    reference_file_types = ("dark",)

    def process(self, data):
        row = self.open_model(data)
        row.data = [pixel * self.scale * factor() + 0.5 for pixel in row.data]
        return row
''',
    "night/helper.py": '''
def factor():
    """Give the factor."""
    return 2.0
''',
    "night/skipped.py": '''
import drizzled
from lantern.steps import LanternStep

class SkippedStep(LanternStep):
    """Is not run."""
    LIMIT = 4.0

    def process(self, data):
        return data
''',
    "night/pipelines.py": """
from lantern.steps import LanternStep
from night.skipped import SkippedStep
from night.steps import GainStep
from elsewhere import LimitStep
from stpipe_prefect import Pipeline

class NightPipeline(Pipeline, LanternStep):
    class_alias = "night"
    spec = "suffix = string(default='cal')  # Of products"
    step_defs = {"gain": GainStep, "limit": LimitStep, "skipped": SkippedStep}

    def process(self, data):
        return self.limit.run(self.gain.run(self.skipped.run(data)))
""",
    "night/others.py": '''
"""Pipelines of other nights."""
LIMIT = 4.0
''',
    "hooks.py": """
def brighten(row):
    row.data = [pixel + 1.0 for pixel in row.data]
    return row
""",
    "dim.sh": "echo 1.0\n",
    "elsewhere/__init__.py": "from .limit import LimitStep\n",
    "elsewhere/limit.py": '''
from lantern.steps import LanternStep

class LimitStep(LanternStep):
    """Limit."""

    def process(self, data):
        return self.open_model(data)
''',
    "elsewhere-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n",
    "drizzled/__init__.py": "LIMIT = 4.0\n",
    "drizzled-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: drizzled\nVersion: 1.0\n",
    "night.cfg": """
name = "night"
class = "night.pipelines.NightPipeline"
[steps]
[[gain]]
scale = 3.0
post_hooks = hooks.brighten, "shell: sh dim.sh"
[[skipped]]
skip = True
""",
}

DARK = "references/jwst/nircam/jwst_nircam_dark_0001.json"
MATTER = [
    ("night/steps.py", r"0\.5", "code of night.steps changed (gain)"),
    ("hooks.py", r"1\.0", "code of hooks changed (gain)"),
    ("night.cfg", r"3\.0", "parameter gain.scale 3.0 → NEW (parameter file night.cfg)"),
    (DARK, r"1\.0", "reference jwst_nircam_dark_0001.json has different content"),
    ("one_raw.row", r"50\.0", "input one_raw.row changed"),
    ("elsewhere-1.0.dist-info/METADATA", r"(?<=Version: )1\.0", "elsewhere 1.0 → NEW (limit)"),
    ("night/helper.py", r"2\.0", "code of night.helper changed (gain)"),
    ("dim.sh", r"1\.0", "parameter gain.post_hooks: dim.sh changed"),
]
OTHERS = [
    ("night/helper.py", r"Give"),  # a docstring
    ("night/steps.py", r"Multiply\."),
    ("night/others.py", r"4\.0"),
    ("night/skipped.py", r"4\.0"),
    ("drizzled/__init__.py", r"4\.0"),
    ("drizzled-1.0.dist-info/METADATA", r"(?<=Version: )1\.0"),
    ("elsewhere/limit.py", r"Limit\."),  # its version says what it is
    ("references/jwst/nircam/jwst_nircam_flat_0001.json", r"2\.0"),
    ("mappings/jwst/jwst_0009.pmap", r"0001"),  # an unused context
]


@pytest.fixture
def archive(mission, lantern_cache, monkeypatch):
    """A folder with modules of all kinds, and a product that they made."""
    for name, text in FILES.items():
        (mission / name).parent.mkdir(exist_ok=True)
        (mission / name).write_text(text)
    shutil.copytree(lantern_cache, mission, dirs_exist_ok=True)
    shutil.copy("mappings/jwst/jwst_0001.pmap", "mappings/jwst/jwst_0009.pmap")
    monkeypatch.setenv("CRDS_PATH", str(mission))
    monkeypatch.setenv("XDG_CACHE_HOME", str(mission / "cache"))
    monkeypatch.syspath_prepend(mission)
    before = {*sys.modules}
    (product,) = flow()("one_raw.row", output_dir="out", config_file="night.cfg")
    assert Row.open(product).data == [7.5, 61.5, 301.5, 601.5]
    yield mission
    for name in {*sys.modules} - before:
        del sys.modules[name]


def flow():
    return as_flow("night.pipelines.NightPipeline")


def reasons():
    return [*flow().plan("one_raw.row", output_dir="out", config_file="night.cfg").reasons]


@contextmanager
def edited(path, pattern, choose):
    """Change one place of a file, as somebody might."""
    before, new = path.read_text(), f"{choose.randint(60, 99)}.{choose.randint(1, 9)}"
    text, count = re.subn(pattern, new, before, count=1)
    assert count == 1
    path.write_text(text)
    yield new
    path.write_text(before)


def test_random_edits_are_noticed_if_they_matter(archive):
    assert reasons() == []
    choose = random.Random(20)
    for name, pattern, reason in [*MATTER, *choose.choices(MATTER, k=12)]:
        with edited(archive / name, pattern, choose) as new:
            assert reasons() == [reason.replace("NEW", new)], name
    for name, pattern in [*OTHERS, *choose.choices(OTHERS, k=3)]:
        with edited(archive / name, pattern, choose):
            assert reasons() == [], name


def test_archive_of_the_first_edition_is_up_to_date(archive, capsys):
    (path,) = (archive / "out").glob(f"*{SUFFIX}")
    record = json.loads(path.read_text())
    made_from = read_record(path).dependencies
    first = Dependencies(**{**vars(made_from), "code": None} | {"software": {"elsewhere": "1.0"}})
    for later in ("code", "caveats", "statistics"):
        del record[later]
    record |= {"schema": "stpipe_prefect/provenance-1.0.0", "software": first.software}
    path.write_text(json.dumps(record | {"fingerprint": first.fingerprint}))
    assert main(["provenance", "out/one_cal.row", "--verify"]) == 0, capsys.readouterr()
    assert reasons() == []
    choose = random.Random(1)
    with edited(archive / "night/steps.py", r"0\.5", choose):
        assert reasons() == []  # nothing is known of how it was
    with edited(archive / "elsewhere-1.0.dist-info/METADATA", r"(?<=: )1\.0", choose) as new:
        assert reasons() == [f"elsewhere 1.0 → {new} (limit)"]
