"""What was outlined and measured, as the panel says it: a sentence, figures, and what can be held against them."""

from __future__ import annotations

from collections.abc import Sequence

from medimg_core.catalog import AS_GIVEN, PLACES_FLOORS, ModelCard
from medimg_core.inference import gate
from medimg_core.inference.places import LEAST
from medimg_core.types import GateVerdict, Region
from medimg_core.ui import forms, naming, numerals, quantities, words
from medimg_core.ui.numerals import counted, figure, figure_range
from medimg_core.ui.panel import Panel, Row, Table
from medimg_core.ui.words import capitalised
from medimg_core.workflows.find import Found, by_reader
from medimg_core.workflows.route import accepted

NO_SPACING = "Counted in pixels: the file states no size of them that can be true."
TYPE_SPACING = "Type the size of a pixel to measure in mm"
NO_INTERVAL = "Without an interval: your outline, not the model’s."
NO_VOLUMES = (
    "No volumes in ml: the file states no size of a pixel that can be true. The fraction holds where pixels are square."
)
DRAW_BOX = "Draw a box round a nodule: choose Box beside the image, and drag."
WHY_BOX = "The model outlines what lies in the box, measures it and says how radiologists would rate it."
_MOST_LIMITS = 2
_TOLD_AT = "0.5"
"""False boxes an image at which the panel tells the sensitivity."""


def panel(found: Found) -> Panel:
    """The panel of a model that only outlines: what was measured heads it."""
    if found.prediction.refused:
        return refusal(found.prediction.gate, None)
    doubt = weak(found)
    tone: words.Tone = "doubt" if doubt else "none"
    more = f"{_second_line(found)} {doubt}".strip()
    if not found.fit_for_use:
        return Panel("stop", unfit(found), f"{headline(found)} {more}", rows=rows(found))
    return Panel(tone, headline(found), more, question=asked_words(found), rows=rows(found))


def refusal(verdict: GateVerdict, card: ModelCard | None) -> Panel:
    """Why a picture was not outlined, and what would be."""
    rows_: tuple[Row, ...] = (
        ("Why", " ".join(verdict.reasons)),
        ("Accepted", gate.accepted(card) if card else accepted()),
        ("Next step", gate.next_step(verdict, card)),
    )
    said = "Nothing is outlined on a picture outside the model’s field."
    return Panel("stop", gate.headline(verdict, card), said, rows=tuple(row for row in rows_ if row[1]))


def asked_words(found: Found) -> str:
    """`Heart ultrasound: outlined left ventricle, myocardium and left atrium.`"""
    kind = naming.title(found.prediction.gate.kind) or "Kind not checked"
    names = [naming.lower(structure.title) for structure in found.places.structures]
    verb = "boxed" if found.places.kind == "boxes" else "outlined"
    return f"{kind}: {verb} **{_listed(names)}**."


def headline(found: Found) -> str:
    """What was measured, in one sentence: `Head circumference 178 mm (172–184).`"""
    top = quantities.first(found.measurements)
    if top is not None:
        return f"{quantities.said(top)}."
    if found.places.kind == "boxes":
        return boxed(found)
    if not found.shown:
        if found.removed:
            return "No outline is left: you removed what the model had drawn."
        names = [naming.lower(structure.title) for structure in found.places.structures]
        return f"Nothing was outlined: no {naming.either(names)} was found."
    return f"{capitalised(_listed([title_of(found, region) for region in found.shown]))}: outlined, not measured."


def boxed(found: Found) -> str:
    """How many boxes there are: `Two boxes: fracture.`"""
    if not found.shown:
        names = [naming.lower(structure.title) for structure in found.places.structures]
        return f"No {naming.either(names)} was boxed."
    kinds = dict.fromkeys(naming.lower(title_of(found, region)) for region in found.shown)
    return f"{capitalised(numerals.plural(len(found.shown), 'box', 'boxes'))}: {_listed(list(kinds))}."


def unfit(found: Found) -> str:
    """The sentence of outlines or boxes that are not fit for use in these patients."""
    if not found.card.answers:
        return words.not_fit(found.population)
    return words.not_fit(found.population, "these boxes" if found.places.kind == "boxes" else "this outline")


def _why_unfit(found: Found) -> str:
    """The figure that is too low, and that nothing of it counts."""
    key, floor = PLACES_FLOORS[found.places.kind]
    name = {"dice": "Dice", "ap50": "AP50"}[key]
    figure_ = found.figures.metrics.get(key) if found.figures else None
    said = "They were not measured in these patients."
    if figure_ is not None:
        spread = figure_range(figure_.low, figure_.high)
        said = f"{name} {figure(figure_.value)} ({spread}, {counted(figure_.n or 0)}), below the floor of {floor:.2f}."
    return f"{said} Drawn in grey; no evidence."


def summary(found: Found) -> str:
    """In a few words, for lists: `head circumference 178 mm (172–184)`."""
    if found.prediction.refused:
        return "not outlined"
    note = "" if found.fit_for_use else "not fit for use: "
    return note + naming.lower(headline(found).rstrip("."))


def weak(found: Found, where: str = "here") -> str:
    """That the model expects little of one of its outlines; empty where it does not."""
    poor = [r for r in found.untouched if r.kind != "box" and r.score < LEAST]
    if not poor:
        return ""
    named = _listed([f"{naming.lower(title_of(found, region))} {figure(region.score)}" for region in poor])
    return f"The model expects little of its outlines {where} (Dice: {named}): they are shown and not measured."


def _second_line(found: Found) -> str:
    """What goes with the headline, that pixels have no known size, that a reader changed something."""
    second = quantities.second(found.measurements)
    said = [f"{quantities.said(second)}."] if second else []
    if quantities.in_pixels(found.measurements):
        said.append(NO_SPACING)
    return " ".join([*said, *([corrected_words(found)] if found.corrected else [])])


def corrected_words(found: Found) -> str:
    """`Corrected by you: left ventricle.`, what was removed, how many of the model's boxes are not shown any more."""
    # Of a structure that is made of others those are named that were corrected.
    own = [
        one for one in found.places.structures if one.id in found.corrected and not set(one.of) & set(found.corrected)
    ]
    boxes_ = found.places.kind == "boxes"
    kept = [naming.lower(one.title) for one in own if boxes_ or found.corrected[one.id]]
    gone = [naming.lower(one.title) for one in own if naming.lower(one.title) not in kept]
    said = [f"Corrected by you: **{_listed(kept)}**."] if kept else []
    said += [f"Removed by you: **{_listed(gone)}**."] if gone else []
    if boxes_ and found.removed:
        said.append(f"The model’s own {numerals.plural(len(found.removed), 'box', 'boxes')} removed or moved.")
    return " ".join(said)


def rows(found: Found) -> tuple[Row, ...]:
    """Measurements, quality of the outline, limits, input check."""
    out = [row for row in short_rows(found) if row[0] != "Doubt"]  # it stands below the headline
    limits = [str(text) for text in found.card.text.get("limits", ())][:_MOST_LIMITS]
    if limits:
        out.append(("Limits", " ".join(limits)))
    checked: Row = ("Input check", words.input_check(found.prediction.gate, ""))
    gate_ = found.prediction.gate
    return (checked, *out) if gate_.reasons and gate_.kind != "not_checked" else (*out, checked)


def hint(waits: bool, box: object) -> tuple[Row, ...]:
    """What to do where a model waits for a box."""
    return (("Nodule", DRAW_BOX),) if waits and box is None else ()


def rating(found: Found) -> Table:
    """What a model says about what lies in a box: every class with its probability."""
    said, names = found.prediction, naming.titles(found.card)
    top = max(said.scores, key=lambda name: said.scores[name])
    lines = tuple(
        (names[name], f"{'**' if name == top else ''}{numerals.percent(share)}{'**' if name == top else ''}")
        for name, share in said.scores.items()
    )
    spread = said.interval
    more = [f"{names[top]}: 95 % interval {numerals.percent_range(spread.low, spread.high)}."] if spread else []
    questions = {question.id: question for question in found.card.statements}
    more += [forms.statement(questions[told.id], told) for told in said.statements]
    return Table(lines, more=(*more, "A rating of looks by radiologists, no pathology."))


def disagreement(found: Found) -> str:
    """That a box is likelier true than not where the answer sees nothing; empty where they agree."""
    said = found.prediction
    sure = any(not by_reader(box) and box.kind == "box" and box.score >= LEAST for box in found.shown)
    if found.card.form != "yes_no" or said.decision == said.positive or not (sure and found.fit_for_use):
        return ""
    names = naming.either([naming.lower(structure.title) for structure in found.places.structures])
    return f"The answer sees no sign of it, yet a box is likelier a {names} than not. Look there yourself."


def short_rows(found: Found) -> tuple[Row, ...]:
    """Measurements and quality alone, for beside an answer; of what lies in a box its rating too."""
    out: list[Row] = []
    if found.places.needs_box and found.prediction.scores:
        mark = "" if found.population.fit_for_use else "not fit for use"
        out.append(("Rating", mark or rating(found)))
    if found.measurements:
        out.append(("Measurements", measurements(found)))
    if doubt := weak(found) or disagreement(found):
        out.append(("Doubt", doubt))
    name, quality_ = "Boxes" if found.places.kind == "boxes" else "Outline", quality(found)
    if not found.fit_for_use and not found.prediction.refused:
        # Without an answer the panel's own sentence says it already.
        said = f"**{unfit(found)}** {_why_unfit(found)}" if found.card.answers else _why_unfit(found)
        out.append((name, said))
        name = "Each box" if found.places.kind == "boxes" else "Quality"
    if quality_ is not None:
        out.append((name, quality_))
    return tuple(out)


def measurements(found: Found) -> Table:
    """Every measurement with its interval, and where the scale comes from."""
    lines = tuple(
        (quantities.title(one.name), f"**{quantities.value(one)}**", quantities.interval(one))
        for one in quantities.ordered(found.measurements)
    )
    more = [quantities.scale(found.image)] if not quantities.in_pixels(found.measurements) else []
    if found.corrected:
        more.append(f"{corrected_words(found)} {NO_INTERVAL if found.left else ''}".rstrip())
    elif found.prediction.measurements and not all(quantities.known(one) for one in found.measurements):
        more.append("Where no interval stands, the error was not measured.")
    return Table(lines, more=tuple(text for text in more if text))


def quality(found: Found) -> Table | None:
    """What the network expects of its outlines, and what was measured on the test set."""
    if found.places.kind == "boxes":
        return None if found.prediction.refused else boxes(found)
    figures, scores = found.figures, {region.label: region for region in found.shown}
    lines: list[tuple[str, str, str]] = []
    for structure in found.places.structures:
        expected = _expected(found, structure.id, scores.get(structure.id))
        test = figures.structures.get(structure.id) if figures else None
        measured = f"{_dice(test.value)} ({_dice(test.low)}\u2060–\u2060{_dice(test.high)})" if test else "not measured"
        lines.append((structure.title, expected, measured))
    where = f"on test, {counted(figures.n)}" if figures else "on test"
    more = (
        [f"Test set: {figures.title}, {numerals.plural(figures.patients, 'patient', 'patients')}."] if figures else []
    )
    if scores and all(structure.quality == AS_GIVEN for structure in found.places.outputs):
        more.append("Expected as the network itself says it: too few patients to compare that with what was measured.")
    return Table(tuple(lines), ("Dice", "expected here", where), tuple(more))


def _expected(found: Found, structure: str, region: Region | None) -> str:
    if region is None:
        return "removed by you" if structure in found.corrected else "none found"
    return "by you" if structure in found.corrected else f"**{figure(region.score)}**"


def boxes(found: Found) -> Table:
    """Every box with the chance that it is true, as its number on the image counts them, and what was measured."""
    lines = [
        (box_of(found, region), "by you" if by_reader(region) else _chance(found, region)) for region in found.shown
    ]
    more = [] if lines else [boxed(found)]
    more += [corrected_words(found)] if found.corrected else []
    measured = found.figures.metrics if found.figures and found.fit_for_use else {}
    if "ap50" in measured and found.figures is not None:
        ap50, reached = measured["ap50"], measured.get(f"sensitivity_at_{_TOLD_AT}")
        said = f"On test ({counted(found.figures.n)}): AP50 {figure(ap50.value)} ({figure_range(ap50.low, ap50.high)})"
        if reached is not None:
            share = f"{100 * reached.value:.0f} ({numerals.bare_range(reached.low, reached.high)}) of 100 findings"
            said += f"; {share} have a box at {_TOLD_AT} false boxes an image"
        more.append(f"{said}.")
    return Table(tuple(lines), ("Box", "Chance that it is true") if lines else (), tuple(more))


def box_of(found: Found, region: Region) -> str:
    """What a box is called on the image and in the panel: with a number where there are several."""
    title = title_of(found, region)
    return f"{found.shown.index(region) + 1} {title}" if len(found.shown) > 1 else title


def _chance(found: Found, region: Region) -> str:
    said = numerals.percent(region.score)
    return f"**{said}**" if found.fit_for_use else said


def _dice(value: float) -> str:
    return f"{value:.3f}"


def title_of(found: Found, region: Region) -> str:
    """What a structure is called."""
    return next((s.title for s in found.places.structures if s.id == region.label), capitalised(region.label))


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "nothing"


def provenance(found: Found) -> str:
    """The right end of the footer."""
    ref = found.prediction.model
    if found.prediction.refused:
        return words.NOT_RUN
    return words.provenance(ref.name, ref.version, ref.hash, None, found.prediction.seconds)
