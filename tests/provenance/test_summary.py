"""A record as text, also one that an earlier version wrote."""

import json

import pytest

from stpipe_prefect.cli import main as cli
from stpipe_prefect.execution.capacity import AT_REST_MB, earlier_runs, expected_memory_mb
from stpipe_prefect.provenance.dependencies import Dependencies
from stpipe_prefect.provenance.fingerprint import FileContent
from stpipe_prefect.provenance.ownership import changed_since
from stpipe_prefect.provenance.record import Record, read_record, record_path

RUN = {
    "pipeline": "lantern_calibrate",
    "started": "2026-11-20T10:00:00+00:00",
    "seconds": 3.25,
    "host": "observatory",
    "peak_memory_mb": 512.0,
    "flow_run": "",
    "log": "one.lantern_calibrate.log",
}


@pytest.fixture
def record(tmp_path):
    """Write a record without some of the fields of a run."""

    def write(*absent):
        product = tmp_path / "one_cal.json"
        product.write_text("{}")
        made_from = Dependencies(
            "lantern.pipelines.CalibratePipeline", "jwst", "jwst_0001.pmap", "", "", [], [], [], {}
        )
        run = {name: value for name, value in RUN.items() if name not in absent}
        path = record_path(tmp_path, "one.lantern_calibrate")
        steps = [{"step": "dark", "outcome": "Completed", "seconds": 1.0}]
        Record(path, made_from, run, steps, [FileContent.of(product)]).write(by_way_of=tmp_path)
        return path

    return write


@pytest.mark.parametrize("absent", [(), *((name,) for name in RUN), tuple(RUN)])
def test_fields_that_are_absent_are_left_out(record, capsys, absent):
    path = record(*absent)
    assert cli.main(["provenance", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    shown = "\n".join(lines[:3])
    for name, text in (
        ("started", "2026-11-20T10:00:00+00:00"),
        ("seconds", "3.2 s"),
        ("peak_memory_mb", "peak memory 512 MB"),
        ("log", "log one.lantern_calibrate.log"),
    ):
        assert (text in shown) == (name not in absent)
    pipeline = "lantern_calibrate" if "pipeline" not in absent else "lantern.pipelines.Calibrate"
    assert lines[0].startswith(pipeline)


def test_other_uses_of_a_record_do_without_them(record, tmp_path):
    path = record(*RUN)
    assert expected_memory_mb([], earlier_runs([path])) == AT_REST_MB
    product = tmp_path / "one_cal.json"
    product.write_text(json.dumps({"somebody": "changed it"}))
    assert changed_since(read_record(path)).startswith(
        f"{product} was changed since lantern.pipelines.CalibratePipeline made it (at an "
    )


def test_caveats_and_statistics_are_shown_by_product(record, capsys):
    path = record()
    content = json.loads(path.read_text())
    assert cli.main(["provenance", str(path)]) == 0
    assert not {"caveats", "statistics"} & set(capsys.readouterr().out.splitlines())
    found = {"sky": 0.5000123, "sources": 0, **{f"further_{number}": 1 for number in range(10)}}
    content["statistics"] = {"one_cal.json": found}
    content["caveats"] = [
        {"product": "one_cal.json", "caveat": "no sources", "reason": "none stands out"},
        {"step": "dark", "caveat": "not applied", "reason": "nothing to do"},
    ]
    path.write_text(json.dumps(content))
    assert cli.main(["provenance", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    first = lines.index("caveats")
    assert lines[first + 1 : first + 5] == [
        "  one_cal.json: no sources: none stands out",
        "  dark: not applied: nothing to do",
        "statistics",
        "  one_cal.json",
    ]
    assert lines[first + 5].startswith("    sky 0.5, sources 0, further_0 1, ")
    assert max(map(len, lines[first + 5 :])) <= 100
