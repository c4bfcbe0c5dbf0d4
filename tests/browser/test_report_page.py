"""The report in a browser: it stands alone, sorts, filters, zooms, fits a phone, prints, and runs no planted script."""

from __future__ import annotations

import pytest

from benchmarks.judging.compare import compare_table
from benchmarks.report.html import write_html
from tests.benchmarks.report_cases import PLANTED, context, result, results
from tests.browser.conftest import requests

TABLE = result("table1")
QUOTED = [row.label for row in TABLE.rows if row.filled == "quoted"]


@pytest.fixture(scope="module")
def paper_page(tmp_path_factory):
    return write_html(results("paper"), tmp_path_factory.mktemp("paper") / "report.html", context())


@pytest.fixture(scope="module")
def short_page(tmp_path_factory):
    """The table as it looks where the random features stand in for FID, with numbers of three digits."""
    columns = tuple(c.model_copy(update={"metric": "fd_random", "label": "FD-random"} if c.id == "fid" else {})
                    for c in TABLE.columns)
    cells = tuple(c.model_copy(update={"mean": 773.67, "spread": 227.28, "verdict": ""})
                  if c.column == "fid" and c.mean is not None else c for c in TABLE.cells)
    table = TABLE.model_copy(update={"columns": columns, "cells": cells, "scale": "short", "data": "embedded"})
    return write_html([compare_table(table)], tmp_path_factory.mktemp("short") / "report.html")


@pytest.fixture(scope="module")
def planted_page(tmp_path_factory):
    path = tmp_path_factory.mktemp("planted") / "report.html"
    return write_html([result("table1", "smoke", PLANTED)], path, context(PLANTED))


def one(browser, selector):
    return browser.find_element("css selector", selector)


def rows(browser, table="table1"):
    """Names of the rows that are shown, in order."""
    script = "return [...document.querySelectorAll(arguments[0])].map(r => r.cells[0].textContent.trim())"
    return browser.execute_script(script, f"#{table}-data tbody tr:not([hidden])")


def numbers(browser, column, key="ours"):
    script = "return [...document.querySelectorAll(arguments[0])].map(cell => cell.dataset[arguments[1]])"
    return browser.execute_script(script, f"#table1-data tbody tr > :nth-child({column})", key)


def press(browser, selector):
    """Activate with the keyboard: focus, then Enter."""
    element = one(browser, selector)
    browser.execute_script("arguments[0].focus()", element)
    element.send_keys("\n")
    return element


def choose(browser, selector, value):
    script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change', {bubbles: true}))"
    browser.execute_script(script, one(browser, selector), value)


def test_no_request_leaves_the_page_and_the_console_is_silent(view, paper_page, planted_page):
    for page in (paper_page, planted_page):
        browser = view(page)
        # A browser that starts slowly may still be loading its own start page, which is no request of ours.
        assert [url for url in requests(browser) if not url.startswith("chrome://")] == [page.as_uri()]
        assert browser.get_log("browser") == []


def test_tables_are_filled(view, paper_page):
    browser = view(paper_page)
    for name in ("table1", "table2"):
        shown = rows(browser, name)
        made = result(name).rows
        assert len(shown) == len(made)
        assert all(text.startswith(row.label) for text, row in zip(shown, made, strict=True))
    first = TABLE.cell("c2n", "fid")
    assert one(browser, "#table1-data tbody tr .ours").text == f"{first.mean:.2f}"
    assert len(browser.find_elements("css selector", ".plots svg")) > 10
    empty = "return [...document.images].filter(i => i.id !== 'zoom-image' && !(i.complete && i.naturalWidth)).length"
    assert browser.execute_script(empty) == 0


def test_a_planted_script_stays_text(view, planted_page):
    browser = view(planted_page)
    assert browser.execute_script("return typeof window.planted") == "undefined"
    assert browser.execute_script("return document.scripts.length") == 1
    assert PLANTED in one(browser, ".banner").text


def test_sorting_by_keyboard_goes_best_first_then_back_to_the_paper(view, paper_page):
    browser = view(paper_page)
    original = rows(browser)
    head = "#table1-data thead tr:last-child th:nth-child(6)"
    order = []
    for state in ("descending", "ascending", "none"):
        press(browser, f"{head} button")
        assert one(browser, head).get_attribute("aria-sort") == state
        order.append(numbers(browser, 6))
    down, up = ([float(v) for v in part if v] for part in order[:2])
    assert down == sorted(down, reverse=True) and up == sorted(up)
    last = len(QUOTED)
    assert order[0][-last:] == order[1][-last:] == [""] * last, "quoted rows have no number of ours and come last"
    assert rows(browser) == original


def test_sorting_by_the_printed_numbers(view, paper_page):
    browser = view(paper_page)
    press(browser, "#table1-data thead tr:last-child th:nth-child(4) button")
    choose(browser, "[data-for=table1-data] [data-sort-by]", "printed")
    printed = [float(v) for v in numbers(browser, 4, "printed") if v]
    assert printed == sorted(printed) and len(printed) == sum(row.paper for row in TABLE.rows)
    one(browser, "[data-for=table1-data] [data-reset]").click()
    assert rows(browser)[0] == "C2N"


def test_filters_by_word_and_by_how_a_row_was_filled(view, paper_page):
    browser = view(paper_page)
    find = one(browser, "[data-for=table1-data] [data-find]")
    find.send_keys("senm")
    found = [row.label for row in TABLE.rows if "senm" in row.label.lower()]
    assert len(rows(browser)) == len(found) and all("SeNM-VAE" in text for text in rows(browser))
    assert one(browser, "[data-for=table1-data] .status").text == f"{len(found)} of {len(TABLE.rows)} rows"
    find.clear()
    find.send_keys(" ")
    choose(browser, "[data-for=table1-data] [data-filter=filled]", "quoted")
    assert rows(browser) == QUOTED
    verdict = next(cell.verdict for cell in TABLE.cells if cell.verdict)
    choose(browser, "[data-for=table1-data] [data-filter=verdicts]", verdict)
    assert rows(browser) == [], "a quoted row has no verdict"
    choose(browser, "[data-for=claims-data] [data-filter=ours]", "fails")
    assert all("fails" in row for row in browser.execute_script(
        "return [...document.querySelectorAll('#claims-data tbody tr:not([hidden])')].map(r => r.textContent)"))


def test_columns_that_the_paper_lacks_can_be_hidden(view, paper_page):
    browser = view(paper_page)
    assert one(browser, "#table1-data td.beside").is_displayed()
    one(browser, "[data-for=table1-data] [data-beside]").click()
    assert not one(browser, "#table1-data td.beside").is_displayed()


def test_a_picture_is_enlarged_and_its_row_flipped_through(view, paper_page):
    browser = view(paper_page)
    button = press(browser, "button.zoom")
    assert one(browser, "#zoom").get_attribute("open") is not None
    first = one(browser, "#zoom-image").get_attribute("src")
    assert one(browser, "#zoom-text").text.startswith("clean, detail crop")
    active = browser.switch_to.active_element
    active.send_keys("\ue014")
    assert one(browser, "#zoom-text").text.startswith("real noisy")
    assert one(browser, "#zoom-image").get_attribute("src") != first
    browser.switch_to.active_element.send_keys("\ue012\ue012")
    assert "White Gaussian" in one(browser, "#zoom-text").text, "the row is a ring"
    browser.switch_to.active_element.send_keys("\ue00c")
    assert one(browser, "#zoom").get_attribute("open") is None
    assert browser.switch_to.active_element.get_attribute("class") == button.get_attribute("class")


def test_a_legend_hides_its_lines(view, paper_page):
    browser = view(paper_page)
    shown = "return [...document.querySelectorAll(arguments[0])].map(e => getComputedStyle(e).display)"
    lines = "#noise .series[data-series='1']"
    assert "none" not in browser.execute_script(shown, lines)
    assert press(browser, "#noise .legend [data-series='1']").get_attribute("aria-pressed") == "false"
    assert set(browser.execute_script(shown, lines)) == {"none"}


@pytest.mark.parametrize("width", [320, 390, 768, 1440])
def test_the_page_never_scrolls_sideways(view, paper_page, width):
    browser = view(paper_page, width, 844)
    assert browser.execute_script("return document.scrollingElement.scrollWidth") <= width
    wide = "return [...document.querySelectorAll('.scroll')].filter(s => s.scrollWidth > s.clientWidth)"
    assert all(part.get_attribute("tabindex") == "0" for part in browser.execute_script(wide)), "reached by keyboard"


def test_a_desktop_shows_every_column_of_the_table_at_once(view, short_page):
    browser = view(short_page, 1280)
    wide = "const s = document.querySelector('#table1-data').parentElement; return [s.scrollWidth, s.clientWidth]"
    whole, seen = browser.execute_script(wide)
    assert whole <= seen, "a column is cut"


def test_light_and_dark_have_contrast_and_the_choice_wins(view, paper_page):
    ratio = """
      const canvas = document.createElement('canvas').getContext('2d');
      const light = (colour) => { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
        const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(v => v / 255)
          .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
      const page = light(getComputedStyle(document.body).backgroundColor);
      return [page, ...arguments[0].map(s => {
        const one = light(getComputedStyle(document.querySelector(s)).color);
        return (Math.max(one, page) + 0.05) / (Math.min(one, page) + 0.05); })];"""
    texts = ["h1", ".lede, caption", "main a", ".pair .match", ".pair .differs", ".pair .within-spread", ".aside"]
    pages = {}
    for scheme in ("light", "dark"):
        pages[scheme], *contrasts = view(paper_page, scheme=scheme).execute_script(ratio, texts)
        assert min(contrasts) >= 4.5, dict(zip(texts, contrasts, strict=True))
    assert pages["dark"] < 0.05 < 0.9 < pages["light"]
    browser = view(paper_page, scheme="light")
    choose(browser, "#theme", "dark")
    assert browser.execute_script(ratio, [])[0] == pages["dark"]


def test_every_control_has_a_name(view, paper_page):
    browser = view(paper_page)
    tree = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = {"button", "checkbox", "combobox", "searchbox", "link", "image", "table", "region"}
    seen = [n for n in tree if not n["ignored"] and n["role"]["value"] in roles]
    assert {n["role"]["value"] for n in seen} >= {"button", "combobox", "searchbox", "link", "image", "table"}
    assert [n for n in seen if not n.get("name", {}).get("value")] == []


def test_print_leaves_out_controls_and_cuts_nothing(view, paper_page):
    browser = view(paper_page, width=1000, scheme="dark", media="print")
    assert not one(browser, ".tools").is_displayed() and not one(browser, "nav").is_displayed()
    assert browser.execute_script("return getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"
    assert browser.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    browser.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    assert browser.execute_script("return [...document.querySelectorAll('details')].every(d => d.open)")
