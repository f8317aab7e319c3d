"""The page at `/` in a headless Chromium: what it shows, on a telephone's screen, in light and dark."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import SENTENCES

from mtlkit.inference.loaded_model import LoadedModel

playwright: Any = pytest.importorskip("playwright.sync_api")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
HARMFUL = "<img src=x onerror=\"document.title='harmed'\"> & <script>document.title='harmed'</script>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


def contrast(page: Any, selector: str) -> float:
    """The ratio of the luminances of an element's text and of the page, as WCAG defines it."""
    return float(
        page.evaluate(
            """(selector) => {
                const light = (colour) => {
                    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
                        .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
                    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
                };
                const both = [getComputedStyle(document.querySelector(selector)).color,
                    getComputedStyle(document.body).backgroundColor].map(light).sort((a, b) => b - a);
                return (both[0] + 0.05) / (both[1] + 0.05);
            }""",
            selector,
        )
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_text_is_shown_with_every_head_and_the_nearest(server: Any, loaded: LoadedModel, browser: Any, scheme: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    page = context.new_page()
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    origin = f"http://127.0.0.1:{server.client.port}/"
    page.goto(origin)
    page.locator("#model", has_text="mtl").filter(has_not_text="mtlkit").wait_for()
    text, candidates = SENTENCES[0], [SENTENCES[-1], HARMFUL, SENTENCES[1]]
    page.fill("#text", text)
    page.fill("#list", "\n".join(candidates))
    page.click("button")
    page.wait_for_selector("#results h2")
    shown = page.inner_text("#results")
    prediction = loaded.predict([text])[0]
    for task, answer in prediction.items():
        assert task in shown
        for label, probability in answer["probabilities"].items():
            assert f"{label}\n{100 * probability:.1f} %" in shown
    nearest = [row.inner_text().rpartition("\n")[0] for row in page.query_selector_all("#results .row")[-3:]]
    vectors = loaded.embed([text, *candidates], normalize=True)
    scores = vectors[1:] @ vectors[0]
    assert nearest == sorted(candidates, key=lambda one: -scores[candidates.index(one)])
    assert page.title() == "mtl"  # no text became HTML
    assert page.query_selector("#results img") is None
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert min(contrast(page, selector) for selector in ("body", ".dim", "a", "#error")) >= 4.5
    assert not wrong
    assert all(url.startswith((origin, "data:")) for url in asked)
    page.goto(origin + "docs")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def test_errors_are_shown_and_a_key_can_be_typed(keyed: Any, browser: Any) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{keyed.client.port}/")
    page.locator("#error", has_text="API key").wait_for()
    page.fill("#apikey", "s3cret")
    page.click("button")
    page.wait_for_selector("#results h2")
    assert page.inner_text("#error") == ""
    page.evaluate("document.querySelector('#list').value = 'a\\n'.repeat(3000)")
    page.click("button")
    page.locator("#error", has_text="3,000 texts").wait_for()
    context.close()
