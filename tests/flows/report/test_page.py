"""The page in a browser: table, search, details, keyboard, and nothing from elsewhere."""

from base64 import b64encode

import numpy as np
import pytest
from browser import chromium, skip_without_browser
from records import write_record

from flows.report.main import main
from flows.report.page import write_report
from stpipe_prefect.execution.results import Ended, Result
from stpipe_prefect.outcomes import Outcome
from stpipe_prefect.products.quicklook import encoded

skip_without_browser()

NAMES = [f"jw{number:05d}001001_02101_00001_nrcb1" for number in range(12)]


def image():
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    jpeg = b64encode(encoded(grey, "JPEG")).decode()
    look = {"kind": "image", "shape": [8, 8], "pixels": [8, 8], "low": 0.1, "high": 2.5}
    return look | {"soft": 1.0, "jpeg": jpeg}


SPECTRUM = {
    "kind": "spectrum",
    "points": 4,
    "per_point": 1,
    "wavelength": [1.0, 2.0, 3.0, 4.0],
    "flux": [1.0, 2.0, None, 3.0],
    "error": [0.1, 0.1, None, 0.1],
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("products")
    for number, name in enumerate(NAMES):
        write_record(
            folder,
            name,
            statistics={"sky": 9.0 if number == 7 else 1 + number / 1000, "sky_rms": 0.1},
            header={"s_region": f"POLYGON ICRS 1 1 1.1 1 1.1 1.{number + 1:02d}"},
            looks=SPECTRUM if number == 3 else image(),
            after=number,
        )
    path = folder / "report.html"
    failed = Result(
        "broken_uncal.fits", Ended(Outcome.FAILED, "broken_uncal.fits: <b>truncated</b>")
    )
    write_report(path, [folder], [failed])
    return path


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser, written):
    shown = browser.new_page()
    errors, asked = [], []
    shown.on("pageerror", lambda error: errors.append(error))
    shown.on("request", lambda request: asked.append(request.url))
    shown.goto(written.as_uri())
    yield shown
    shown.close()
    assert errors == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def names(page):
    return [name.strip() for name in page.locator("#table .open").all_inner_texts()]


def test_what_needs_attention_comes_first_and_leads_to_its_row(page):
    listed = page.locator(".attention li")
    assert listed.nth(0).inner_text().startswith("failed broken_uncal.fits")
    assert "sky 9 is" in listed.nth(1).inner_text()
    assert names(page)[:2] == ["broken_uncal.fits", f"{NAMES[7]}_uncal.fits"]
    listed.nth(1).locator("a").first.click()
    assert page.locator(".details").count() == 1
    assert page.evaluate("document.activeElement.innerText").strip() == f"{NAMES[7]}_uncal.fits"


def test_table_is_sorted_and_searched(page):
    page.get_by_role("button", name="input", exact=True).click()
    assert names(page) == sorted(names(page))
    page.get_by_role("button", name="input", exact=True).click()
    assert names(page) == sorted(names(page), reverse=True)
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("input")
    page.get_by_label("Search").fill(f"{NAMES[4]} nircam")
    assert names(page) == [f"{NAMES[4]}_uncal.fits"]
    assert page.locator("#count").inner_text() == "1 of 13"
    page.get_by_label("Search").fill("failed")
    assert names(page) == ["broken_uncal.fits"]


def test_a_row_opens_with_the_keyboard_to_its_quick_look_and_links(page, written):
    page.get_by_label("Search").fill(NAMES[2])
    page.locator("#table .open").focus()
    page.keyboard.press("Enter")
    details = page.locator(".details")
    assert "calwebb_detector1: Completed" in details.inner_text()
    assert details.locator(".image img").evaluate("image => image.naturalWidth") == 8
    assert "0.1" in details.locator(".scale").inner_text()
    link = details.get_by_role("link", name="provenance record").get_attribute("href")
    assert (written.parent / link).is_file()
    linked = details.get_by_role("link").all_inner_texts()
    assert linked == ["provenance record", "log"]  # there is no product, only its record
    assert f"{NAMES[2]}_rate.fits" in details.inner_text()
    assert page.locator("#table .open").get_attribute("aria-expanded") == "true"


def test_a_spectrum_is_drawn_with_its_gap(page):
    page.get_by_label("Search").fill(NAMES[3])
    page.locator("#table .open").click()
    assert page.locator(".details .flux").count() == 2
    assert page.locator(".details .gap").count() == 1


def test_text_of_others_is_no_markup(page):
    assert page.locator("#table b, .attention li b:text('truncated')").count() == 0
    assert "<b>truncated</b>" in page.locator(".attention").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_is_enough_for_text(browser, written, scheme):
    shown = browser.new_page(color_scheme=scheme)
    shown.goto(written.as_uri())
    ratio = shown.evaluate(
        """() => {
          const light = (text) => text.match(/\\d+/g).slice(0, 3).map((c) => c / 255)
            .map((c) => c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
            .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
          const paper = light(getComputedStyle(document.body).backgroundColor);
          document.querySelector("#table .open").click();
          const inks = [...document.querySelectorAll("body :not(script, style, title)")]
            .filter((each) => [...each.childNodes].some((node) => node.nodeValue?.trim()))
            .map((each) => getComputedStyle(each)[each.closest("svg") ? "fill" : "color"]);
          inks.push(getComputedStyle(document.getElementById("search"), "::placeholder").color);
          return Math.min(...inks.map(light)
            .map((ink) => (Math.max(ink, paper) + .05) / (Math.min(ink, paper) + .05)));
        }"""
    )
    shown.close()
    assert ratio >= 4.5


def test_footprints_and_times_are_drawn(page):
    assert page.locator(".sky polygon").count() == len(NAMES)
    assert page.locator("section:has(#time) rect").count() == len(NAMES)


def test_command_writes_the_page_and_says_what_a_folder_does_not_tell(tmp_path, capsys):
    write_record(tmp_path, NAMES[0])
    assert main([str(tmp_path)]) == 0
    assert str(tmp_path / "report.html") in capsys.readouterr().out
    text = (tmp_path / "report.html").read_text()
    assert "inputs that failed leave no record" in text
    assert not list(tmp_path.glob(".*"))


def test_command_refuses_what_it_cannot_report(tmp_path, capsys):
    assert main([str(tmp_path)]) == 1
    assert "no provenance record" in capsys.readouterr().err
    assert main([str(tmp_path / "absent")]) == 1
    assert "no such folder" in capsys.readouterr().err
    write_record(tmp_path, NAMES[0])
    (tmp_path / "file").touch()
    assert main([str(tmp_path), "--output", str(tmp_path / "file/report.html")]) == 1
    assert "the page cannot be written" in capsys.readouterr().err


def test_two_folders_are_compared(tmp_path):
    from astropy.io import fits

    for name, value in (("a", 1.0), ("b", 2.0)):
        write_record(tmp_path / name, NAMES[0])
        image = fits.ImageHDU(np.full((8, 8), value), name="SCI")
        fits.HDUList([fits.PrimaryHDU(), image]).writeto(tmp_path / name / f"{NAMES[0]}_rate.fits")
    assert main([str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    text = (tmp_path / "b" / "report.html").read_text()
    assert "different: 1 of 1 product" in text
    assert main([str(tmp_path / "b"), str(tmp_path / "a")]) == 0  # a report is no product
    assert "different: 1 of 1 product" in (tmp_path / "a" / "report.html").read_text()
