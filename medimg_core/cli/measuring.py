"""Commands that measure and train: `evaluate`, `compare`, `train`, `saliency-check`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medimg_core.cli.said import DONE, SOME_FAILED, say, show
from medimg_core.errors import BadRequest, BadTable
from medimg_core.progress import Progress

if TYPE_CHECKING:
    from medimg_core.catalog import ModelCard
    from medimg_core.workflows.evaluate_places import PlacesRun
    from medimg_core.workflows.places_figures import Film
    from medimg_core.workflows.predictions import Table


def evaluate(options: argparse.Namespace) -> int:
    """Measure a model on labelled images."""
    from medimg_core.catalog import open_answering

    card = open_answering(options.model)
    done = _measure(card, options, options.out)
    if options.json:
        show(done.content)
    else:
        _print_figures(done.content)
        further = ", regions.json, masks" if done.places else ""
        print(f"Written to {options.out}: predictions.csv, metrics.json, report.html{further}")
    return SOME_FAILED if done.failures else DONE


@dataclass(frozen=True, slots=True)
class _Done:
    """One evaluation: `metrics.json`, images without an answer, the table of answers where the model gives any."""

    content: dict[str, Any]
    failures: int
    table: Table | None
    places: PlacesRun | None = None


def _measure(card: ModelCard, options: argparse.Namespace, out: Path) -> _Done:
    from medimg_core.workflows.diagnose_files import check_population
    from medimg_core.workflows.evaluate import check_labels, evaluate, write_run
    from medimg_core.workflows.manifest import label_classes, parse_map, read_class_folders, read_manifest
    from medimg_core.workflows.places_truth import check_truth, has_truth

    check_population([card], options.population)
    classes = label_classes(card.class_ids, card.label_map, parse_map(options.map), numbered=card.form == "grade")
    if options.manifest is not None:
        rows = read_manifest(options.manifest, options.split, options.label if card.answers else None)
    else:
        rows = read_class_folders(options.folder)
    check_truth(card, rows)
    if card.answers:
        check_labels(card, rows, classes)
    facts = {"split": options.split, "label": options.label if options.manifest else "folder", "map": options.map}
    told = {key: value for key, value in facts.items() if value and (card.answers or key == "split")}
    progress = Progress(f"{card.name}, image")
    if not has_truth(card, rows):
        run = evaluate(card, rows, classes, population=options.population, out=out, progress=progress.images)
        progress.close()
        return _Done(write_run(run, out, told), run.count("refused") + run.count("error"), run.table)
    from medimg_core.workflows.evaluate_places import evaluate_places
    from medimg_core.workflows.places_json import write_places

    found = evaluate_places(card, rows, classes, population=options.population, out=out, progress=progress.images)
    progress.close()
    failures = found.count("refused") + found.count("error")
    return _Done(write_places(found, out, told), failures, found.run.table if found.run else None, found)


def _print_figures(content: dict[str, Any]) -> None:
    print(f"{content['n']} images, {content['refused']} refused, {content['errors']} unreadable")
    for label, n in content["unknown_labels"].items():
        print(f"label {label!r} is not known to the model: {n} images stand in no figure")
    for name, both in content["metrics"].items():
        cells = [both["refused_left_out"], both["refused_wrong"]]
        shown = ["-" if c is None else f"{c['value']:.3f} ({c['low']:.3f}–{c['high']:.3f}) n {c['n']}" for c in cells]
        print(f"{name:22} {shown[0]:32} with refused images wrong {shown[1]}")


def compare(options: argparse.Namespace) -> int:
    """Compare models on the same images."""
    from medimg_core.catalog import open_answering
    from medimg_core.workflows.compare_boxes import boxed_by_all
    from medimg_core.workflows.compare_places import of_films, outline_only, read_outlined

    if (options.models is None) == (options.predictions is None):
        raise BadRequest("A comparison needs either models or predictions.", "Give --models A,B or --predictions.")
    if options.predictions is not None:
        paths = [Path(name) for name in options.predictions.split(",")]
        outlined = [read_outlined(path) for path in paths]
        if all(table is not None for table in outlined):
            named: dict[str, Any] = {}
            for path, table in zip(paths, outlined, strict=True):
                named[_table_name(path, named)] = table
            return _compare_outlines(named, options, 0)
        return _compare_answers(_tables(paths), None, options, 0)
    if options.manifest is None and options.folder is None:
        raise BadRequest("There are no images to compare on.", "Give --manifest CSV or --folder DIR.")
    cards = [open_answering(name.strip()) for name in options.models.split(",")]
    outlines = outline_only(cards)
    check_same_question(cards)  # before hours of work
    done = {card.name: _measure(card, options, options.out / card.name) for card in cards}
    failures = sum(one.failures for one in done.values())
    runs = {name: one.places.films for name, one in done.items() if one.places is not None}
    if outlines:
        return _compare_outlines({name: of_films(films) for name, films in runs.items()}, options, failures)
    structure = boxed_by_all(cards)
    if structure and len(runs) == len(cards):
        _compare_boxes(structure, runs, options)
    if not cards[0].answers:
        return SOME_FAILED if failures else DONE
    tables = {name: one.table for name, one in done.items() if one.table is not None}
    return _compare_answers(tables, cards[-1].class_ids[cards[-1].positive], options, failures)


def check_same_question(cards: Sequence[ModelCard]) -> None:
    """Refuse models with other classes or structures.

    Raises:
        BadTable: the message lists those of the two that differ.
    """
    from medimg_core.workflows.compare import check_same_classes

    if all(card.answers for card in cards):
        check_same_classes({card.name: card.class_ids for card in cards})
        return
    (first, *others) = cards
    own = [s.id for s in first.places.structures] if first.places is not None else []
    for card in others:
        these = [s.id for s in card.places.structures] if card.places is not None else []
        if set(these) != set(own):
            raise BadTable(
                f"The models outline different structures: {first.name} {', '.join(own)}; {card.name} "
                f"{', '.join(these)}.",
                "Compare models of the same structures.",
            )


def _tables(paths: Sequence[Path]) -> dict[str, Table]:
    from medimg_core.workflows.predictions import read_predictions

    tables: dict[str, Table] = {}
    for path in paths:
        tables[_table_name(path, tables)] = read_predictions(path)
    return tables


def _compare_outlines(tables: Mapping[str, Any], options: argparse.Namespace, failures: int) -> int:
    from medimg_core.workflows.compare_places import as_json, compare_outlines, sentences, write_outline_comparison

    found = compare_outlines(tables)
    write_outline_comparison(found, options.out)
    _tell(options, as_json(found), sentences(found), "comparison.json, comparison.html")
    return SOME_FAILED if failures else DONE


def _compare_boxes(structure: str, runs: Mapping[str, Sequence[Film]], options: argparse.Namespace) -> None:
    """The boxes, in a file and in lines of their own beside those of the answers."""
    from medimg_core.workflows.compare_boxes import as_json, compare_boxes, sentences, write_box_comparison

    found = compare_boxes(structure, runs)
    write_box_comparison(found, options.out)
    _tell(options, as_json(found), sentences(found), "comparison_boxes.json")


def _tell(options: argparse.Namespace, content: dict[str, Any], lines: Iterable[str], written: str) -> None:
    if options.json:
        show(content)
    else:
        print("\n".join(lines))
        print(f"Written to {options.out}: {written}")


def _compare_answers(
    tables: Mapping[str, Table], positive: str | None, options: argparse.Namespace, failures: int
) -> int:
    from medimg_core.workflows.compare import as_json, compare, write_comparison

    found = compare(tables, positive)
    write_comparison(found, options.out)
    if options.json:
        show(as_json(found))
    else:
        for pair in found.left_out:
            d = pair.auroc.difference
            kappa = pair.differences.get("kappa_quadratic")
            graded = "" if kappa is None else f"kappa {kappa.value:+.3f} ({kappa.low:.3f} to {kappa.high:.3f}); "
            print(
                f"{pair.a} against {pair.b}, n {pair.n}: AUROC {pair.auroc.a.value:.3f} and {pair.auroc.b.value:.3f}, "
                f"difference {d.value:.3f} ({d.low:.3f} to {d.high:.3f}), p {pair.p_holm:.3g}; {graded}"
                f"right only by one {pair.right.only_a} and {pair.right.only_b}, p {pair.right_p_holm:.3g}"
            )
        print(f"Written to {options.out}: comparison.json, comparison.html")
    return SOME_FAILED if failures else DONE


def _table_name(path: Path, taken: dict[str, Any]) -> str:
    """A predictions table is named after its folder, because `evaluate` always writes `predictions.csv`."""
    name = path.parent.name if path.stem == "predictions" and path.parent.name else path.stem
    return name if name not in taken else f"{name} ({len(taken) + 1})"


_HEADLINES = {"auroc": "AUROC", "dice": "Dice", "ap50": "AP50"}


def train(options: argparse.Namespace) -> int:
    """Train a model from a recipe."""
    from medimg_core.catalog import read_card
    from medimg_core.training.train import train

    phases: dict[str, Progress] = {}

    def told(what: str, share: float) -> None:
        if what not in phases:
            close_all()
            phases[what] = Progress(what)
        phases[what](share)

    def close_all() -> None:
        for phase in phases.values():
            phase.close()

    content = train(options.recipe, options.data, options.out, told)
    close_all()
    for sets in (content["test_sets"], content.get("places", {}).get("test_sets", {})):
        for name, measured in sets.items():
            for key, title in _HEADLINES.items():
                if figure := measured["metrics"].get(key):
                    spread = f"{figure['low']:.3f}–{figure['high']:.3f}"
                    print(f"{name}: {title} {figure['value']:.3f} ({spread}), n {measured['n']}")
    print(f"Written to {options.out}")
    for limit in read_card(options.out).text.get("limits", ())[:1]:
        print(limit)
    return DONE


def saliency_check(options: argparse.Namespace) -> int:
    """Measure how far maps can be trusted."""
    from medimg_core.catalog import open_answering
    from medimg_core.workflows.explain_places import split_methods, structures
    from medimg_core.workflows.manifest import read_manifest
    from medimg_core.workflows.saliency_check import saliency_check
    from medimg_core.workflows.saliency_places import check_outlines, in_words, write_outlines

    card = open_answering(options.model)
    of_answer, of_outline = split_methods(card, options.method, None)
    progress = Progress("Films")
    manifest, split, told = options.manifest, options.split, list[tuple[dict[str, Any], str]]()
    if of_answer:
        label = options.label
        for check in saliency_check(card, manifest, split, of_answer, options.out, label=label, progress=progress):
            told.append(({"method": check.method, **check.as_json()}, _in_words(check.method, check.as_json())))
    if of_outline:
        outlines = check_outlines(card, read_manifest(manifest, split, label=None), of_outline, progress=progress)
        write_outlines(card, outlines, split, options.out)
        for name in structures(card):
            if all(one.structure != name for one in outlines):
                say(f"{name}: outlined in none of these films, so that no map of it was measured. Give other films.")
        for one in outlines:
            told.append(({"method": one.method, "structure": one.structure, **one.as_json()}, in_words(one)))
    progress.close()
    for content, words in told:
        if options.json:
            show(content)
        else:
            print(words)
    return DONE


def _in_words(method: str, figures: dict[str, Any]) -> str:
    """`cam: pointing game 0.92 (0.88–0.95), ...`: every figure that has an interval."""
    shown = [
        f"{name.replace('_', ' ')} {f['value']:.2f} ({f['low']:.2f}–{f['high']:.2f})"
        for name, f in figures.items()
        if isinstance(f, dict) and {"value", "low", "high"} <= set(f)
    ]
    return f"{method}: {', '.join(shown)}, n {figures['n']}"
