from html.parser import HTMLParser

import numpy as np
import pytest

from medimg_core.metrics import Answers, Evaluation, evaluate_answers
from medimg_core.render.report import evaluation_report, figure, p_value
from medimg_core.types import Interval


def found(answered: float = 0.8) -> Evaluation:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 80)
    p = np.clip(truth * 0.4 + rng.random(80) * 0.6, 0, 1)
    a = Answers(truth, (p >= 0.5).astype(np.intp), p, np.array([f"p{i}" for i in range(80)]))
    return evaluate_answers(a, rng.random(80) < answered)


class Outline(HTMLParser):
    """Open tags that were never closed, and what would be fetched from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [
            v or "" for k, v in attrs if k in ("src", "href", "xlink:href") and not (v or "").startswith("#")
        ]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_report_is_one_whole_page_that_asks_nothing_of_others() -> None:
    page = evaluation_report("A <model>", [("Films", "80 & more")], found(), ["No finding", "Finding"], ["Note."])
    outline = Outline()
    outline.feed(page)
    assert outline.open == []
    assert outline.fetched == []
    assert "<script" not in page
    assert "@import" not in page
    assert "A &lt;model&gt;" in page
    assert "80 &amp; more" in page
    assert page.count("<svg") == 3
    assert page.count("not a medical device") == 1


def test_every_figure_of_the_report_has_its_n_and_interval() -> None:
    evaluation = found()
    page = evaluation_report("t", [], evaluation, ["a", "b"])
    for interval in (*evaluation.left_out.values(), *evaluation.wrong.values()):
        assert figure(interval).split(" ", 1)[1] in page


def test_charts_do_not_change_from_run_to_run() -> None:
    first, second = (evaluation_report("t", [], found(), ["a", "b"]) for _ in range(2))
    assert first == second


def test_nothing_measured_is_said() -> None:
    page = evaluation_report("t", [], None, ["a", "b"])
    assert "nothing to measure" in page
    assert "not a medical device" in page
    assert "<svg" not in evaluation_report("t", [], found(0.0), ["a", "b"])


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (Interval(0.981, 0.97, 0.9894, 1566), "0.981 (0.970–0.989), n\u00a01,566"),
        (Interval(-0.02, -0.0504, 0.01), "−0.020 (−0.050 to 0.010)"),
        (Interval(-0.0001, -0.0002, 0.0), "0.000 (0.000 to 0.000)"),
    ],
)
def test_figures_in_words(interval: Interval, words: str) -> None:
    assert figure(interval) == words


def test_p_values_in_words() -> None:
    assert (p_value(0.0004), p_value(0.0321), p_value(1.0)) == ("p < 0.001", "p = 0.032", "p = 1.000")
