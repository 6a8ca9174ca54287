"""The slices of a series in the viewer: marks by weight, keys from one to the next, and what the server is told."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from bench import Bench, ct, press, show
from medimg_core.ui.tokens import Tokens
from medimg_core.ui.viewer import Counted
from steps import until

pytestmark = [pytest.mark.browser, pytest.mark.slow]

COUNTED = Counted(0, (0.01, 0.49, None, 0.25, 0.0, 0.25), (1, 3, 5))


def test_marks_stand_by_weight_and_keys_go_from_one_to_the_next(bench: Bench, tokens: Tokens) -> None:
    show(bench, tokens, [ct(i) for i in range(6)], wanted=0, counted=COUNTED)
    marks = bench.page.locator(".marks.evidence i")
    expect(marks).to_have_count(4)  # neither for the slice that was not used nor for the one without weight
    heights = [float(style) for style in marks.evaluate_all("all => all.map(m => parseFloat(m.style.height))")]
    assert heights[2] == pytest.approx(10)
    assert heights[3] == heights[2]
    assert heights[0] < heights[2] < heights[1]
    places = [float(style) for style in marks.evaluate_all("all => all.map(m => parseFloat(m.style.left))")]
    assert places == pytest.approx([0, 20, 60, 100])
    expect(bench.page.locator(".marks .most")).to_have_count(3)
    press(bench, "n")
    expect(bench.corner(2)).to_contain_text("image 2 of 6, 4.0 mm, weight 49 %")
    expect(bench.page.get_by_label("Image of the series")).to_have_attribute("aria-valuetext", "2 of 6, weight 49 %")
    press(bench, "n", "n", "n")
    expect(bench.corner(2)).to_contain_text("image 6 of 6")
    press(bench, "p")
    expect(bench.corner(2)).to_contain_text("image 4 of 6")
    press(bench, "Home", "p")
    expect(bench.corner(2)).to_contain_text("image 1 of 6")
    expect(bench.corner(2)).not_to_contain_text("weight")


def test_a_link_of_the_page_brings_its_slice_up(bench: Bench, tokens: Tokens) -> None:
    show(bench, tokens, [ct(i) for i in range(3)], [ct(i) for i in range(6)], counted=Counted(1, (0.5,) * 6, (4,)))
    bench.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<a href=\"#slice-5\">5</a>')")
    bench.page.get_by_role("link", name="5").evaluate("link => link.click()")
    expect(bench.corner(2)).to_contain_text("image 5 of 6")
    assert "#" not in bench.page.url


def test_the_server_is_told_once_where_the_reader_rests(bench: Bench, tokens: Tokens) -> None:
    show(bench, tokens, [ct(i) for i in range(6)], wanted=0)
    # All steps within one task of the browser, however slow the machine is.
    bench.page.locator(".frame").first.evaluate(
        """frame => { for (let i = 0; i < 4; i++)
          frame.dispatchEvent(new KeyboardEvent('keydown', { key: 'PageDown' })); }"""
    )
    assert until(lambda: bench.told("at"), lambda at: at is not None) == 4
    assert [name for name, _ in bench.page.evaluate("window.told")].count("at") == 1


def test_who_turns_to_the_page_is_not_waited_for(bench: Bench, tokens: Tokens) -> None:
    show(bench, tokens, [ct(i) for i in range(6)], wanted=0)
    told = bench.page.locator(".frame").first.evaluate(
        """frame => new Promise(go => {
          frame.dispatchEvent(new KeyboardEvent('keydown', { key: 'End' }));
          requestAnimationFrame(() => {  // behind the drawing, in the same frame
            frame.dispatchEvent(new Event('pointerdown', { bubbles: true, composed: true }));
            const within = window.told.length;
            document.body.dispatchEvent(new Event('pointerdown', { bubbles: true }));
            go([within, window.told.length]);
          }); })"""
    )
    assert told == [0, 1]
    assert bench.told("at") == 5


def test_a_stage_that_is_not_asked_tells_nothing(bench: Bench, tokens: Tokens) -> None:
    show(bench, tokens, [ct(i) for i in range(6)])
    press(bench, "PageDown")
    expect(bench.corner(2)).to_contain_text("image 2 of 6")
    bench.page.locator(".frame").first.evaluate("() => new Promise(go => setTimeout(go, 600))")
    assert bench.told("at") is None


def test_another_slice_that_the_page_speaks_about_comes_up_and_the_look_stays(bench: Bench, tokens: Tokens) -> None:
    slices = [ct(i) for i in range(6)]
    show(bench, tokens, slices, wanted=0)
    press(bench, "2", "+")
    expect(bench.corner(1)).to_contain_text("zoom 1.3")
    show(bench, tokens, slices, wanted=4)
    expect(bench.corner(2)).to_contain_text("image 5 of 6")
    expect(bench.corner(1)).to_contain_text("window −600 / 1500")
    expect(bench.corner(1)).to_contain_text("zoom 1.3")
    press(bench, "Home")
    show(bench, tokens, slices, wanted=4)  # the page runs again: the reader stays where he scrolled
    expect(bench.corner(2)).to_contain_text("image 1 of 6")
