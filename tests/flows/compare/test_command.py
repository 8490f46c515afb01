"""The command: what it prints, and its exit codes."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from flows.compare.main import main
from flows.compare.pictures import pictures_of


@pytest.fixture
def product(tmp_path):
    """Write an image with one column of pixels that differs by `more`, and many cards."""

    def write(name, more=0.0, cards=0):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        data = np.random.default_rng(3).normal(5, 1, (30, 40)).astype("f8")
        data[:, 7] += more
        primary = fits.PrimaryHDU()
        primary.header.update({f"CARD{n}": f"{name} [red]" for n in range(cards)})
        err = fits.ImageHDU(np.full(data.shape, 0.5), name="ERR")
        fits.HDUList([primary, fits.ImageHDU(data, name="SCI"), err]).writeto(path)
        return str(path)

    return write


def test_identical(product, capsys):
    assert main([product("a.fits"), product("b.fits")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "identical: 3 parts"


def test_different(product, capsys):
    assert main([product("a.fits", cards=20), product("b.fits", 2.0, cards=20)]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    (row,) = (line.split() for line in out.splitlines() if line.startswith("SCI"))
    assert row[:8] == ["SCI", "40", "×", "30", "30", "(2.5", "%)", "2"]  # noqa: RUF001
    assert "PRIMARY CARD0" in out and "a.fits [red]" in out
    assert "… and 8 more: shown with --json" in out
    assert "identical: ERR" in out
    assert "no provenance record beside it names it" in out
    assert out.splitlines()[-1] == "different: 2 of 3 parts"


def test_tolerance_decides(product):
    a, b = product("a.fits"), product("b.fits", 1e-3)
    assert main([a, b]) == 1
    assert main([a, b, "--atol", "2e-3"]) == 0
    assert main([a, b, "--rtol", "0.1"]) == 0


def test_folders(product, tmp_path, capsys):
    product("one/same_cal.fits")
    product("two/same_cal.fits")
    product("one/other_cal.fits")
    product("two/other_cal.fits", 2.0)
    product("one/alone_cal.fits")
    for folder in ("one", "two"):
        os.truncate(product(f"{folder}/half_cal.fits"), 4000)
    assert main([str(tmp_path / "one"), str(tmp_path / "two"), "--json"]) == 1
    out, err = capsys.readouterr()
    (line,) = err.splitlines()
    assert line.startswith(f"compare: {tmp_path}/one/half_cal.fits: damaged or truncated")
    found = json.loads(out)
    assert (found["only_in_a"], list(found["unreadable"])) == (
        ["alone_cal.fits"],
        ["half_cal.fits"],
    )
    identical = {each["b"].rpartition("/")[2]: each["identical"] for each in found["products"]}
    assert identical == {"other_cal.fits": False, "same_cal.fits": True}
    assert main([str(tmp_path / "one"), str(tmp_path / "two")]) == 1
    out, _ = capsys.readouterr()
    assert re.search(r"alone_cal\.fits +only in A", out)
    assert re.search(r"other_cal\.fits +SCI +4 +4 *\n", out)
    assert "identical: 1 of 2 products" in out


def test_page_has_everything_in_it(product, tmp_path, capsys):
    a, b, page = product("a.fits"), product("<b>.fits", 2.0, cards=2), tmp_path / "page.html"
    assert main([a, b, "--html", str(page)]) == 1
    text = page.read_text()
    assert text.count('src="data:image/png;base64,') == 3
    assert "<svg" in text and "different: 2 of 3 parts" in text
    assert "<b>.fits" not in text and "&lt;b&gt;.fits" in text
    assert "<script" not in text and not re.findall(r'(?:src|href)="(?!data:)', text)
    pictures = pictures_of(Path(a), Path(b))
    assert pictures.limit == pytest.approx(2.0)
    assert (sum(pictures.counts), pictures.counts[-1]) == (1200, 30)
    assert main([a, b, "--html", str(tmp_path / "no" / "page.html")]) == 1
    assert "no/page.html: the page cannot be written: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["a.fits", "absent.fits"], 1, "absent.fits: no such file or folder"),
        (["a.fits", "."], 2, "a.fits, .: one is a folder and one a file"),
        (["a.fits"], 2, "the following arguments are required: B"),
        (["a.fits", "a.fits", "--rtol", "-1"], 2, "expected a number, 0 or greater, not '-1'"),
        (["a.fits", "half.fits"], 1, "half.fits: damaged or truncated"),
    ],
)
def test_what_is_wrong_is_one_line(product, tmp_path, monkeypatch, capsys, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    product("a.fits")
    os.truncate(product("half.fits"), 4000)
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(main(arguments))
    assert ended.value.code == code
    assert words in capsys.readouterr().err.splitlines()[-1]
