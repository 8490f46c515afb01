"""A command goes on whatever becomes of its output."""

import io
import os
import subprocess
import sys
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from flows.calibrate import tables, terminal
from stpipe_prefect.cli import main as cli
from stpipe_prefect.cli.exit import exit_code_of_command, screen
from stpipe_prefect.execution.events import report
from stpipe_prefect.execution.results import Ended, Result
from stpipe_prefect.outcomes import Outcome
from stpipe_prefect.streams import with_streams


@contextmanager
def nobody_reading():
    """Give standard output a pipe whose other end is closed, as after ``| head -1``."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as stream, redirect_stdout(stream):
        yield
        stream.flush()  # as Python does at its end


def test_reader_that_has_gone_does_not_end_a_batch(capsys):
    ended = []

    def run():
        display = terminal.Display(screen(), 3, live=True)
        with display.following():
            for name in "abc":
                report(Result(name, Ended(Outcome.COMPLETED)))
                print("line", flush=True)
                ended.append(name)
        return 0

    with nobody_reading():
        assert exit_code_of_command("calwebb", run, debug=False) == 0
    assert ended == ["a", "b", "c"]
    assert capsys.readouterr().err == ""


def test_reader_of_the_other_commands_that_has_gone(capsys):
    with nobody_reading():
        assert cli.main([]) == 0
    assert "Error" not in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device")
def test_output_that_is_lost_is_told_and_is_a_failure(monkeypatch, capsys):
    def run():
        ended.append(print("line", flush=True))
        return 0

    ended = []
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert with_streams(run) == 1
    assert ended == [None]
    line = "standard output cannot be written to: No space left on device\n"
    assert capsys.readouterr().err == line


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_characters_that_the_encoding_lacks_are_escaped(monkeypatch, encoding):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding))

    def run():
        table = Table("a → b")
        table.add_row("été")
        Console(width=40).print(table)
        print("gain 1 → 2", os.fsdecode(b"\xff"))
        return 0

    assert exit_code_of_command("calwebb", run, debug=False) == 0
    text = written.getvalue().decode(encoding)
    assert r"gain 1 \u2192 2 \udcff" in text
    assert (r"\xe9t\xe9" if encoding == "ascii" else "été") in text


CLOSED = """
import sys
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from stpipe_prefect.streams import with_streams

def run():
    assert not sys.stdout.isatty()
    print("nowhere")
    print("nowhere", file=sys.stderr, flush=True)
    with open("product", "w") as product:
        number = product.fileno()
    Path("number").write_text(str(number))
    return 0

sys.exit(with_streams(run))
"""


def test_streams_that_are_closed(tmp_path):
    command_line = f"exec '{sys.executable}' -c \"$0\" <&- >&- 2>&-"
    done = subprocess.run(["sh", "-c", command_line, CLOSED], cwd=tmp_path, check=False)
    assert done.returncode == 0
    assert int((tmp_path / "number").read_text()) > 2  # what others print is not for a product


def test_names_are_no_markup(tmp_path, capsys):
    product = tmp_path / "a[x]b:smile:_rate.fits"
    product.touch()
    done = terminal.PipelineProgress("p", Outcome.COMPLETED, 1.0, (str(product),))
    screen().print(tables.result_table([Result("a", Ended(Outcome.COMPLETED), (done,))]))
    assert product.name in capsys.readouterr().out
