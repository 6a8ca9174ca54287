"""Commands that look at images: `models`, `predict`, `explain`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from medimg_core.cli.said import DONE, SOME_FAILED, say, show
from medimg_core.progress import Progress

if TYPE_CHECKING:
    from medimg_core.types import Image, Spacing


def models(options: argparse.Namespace) -> int:
    """List the installed models."""
    from medimg_core.catalog import damaged_models, list_models
    from medimg_core.errors import ModelUnavailable
    from medimg_core.workflows.model_list import describe, sentence

    cards, damaged = list_models(), damaged_models()
    if all(card.task == "gate" for card in cards) and not damaged:
        raise ModelUnavailable(
            "No model is installed here, or none whose licence MEDIMG_LICENCES allows.",
            "Restore the models folder from the release, or name another one with MEDIMG_MODELS.",
        )
    for card in cards:
        described = describe(card)
        if options.json:
            show(described)
        else:
            print(sentence(described))
    for error in damaged:
        say(str(error))
    return SOME_FAILED if damaged else DONE


def predict(options: argparse.Namespace) -> int:
    """Answer images."""
    from medimg_core.io import warm_up

    warm_up()  # the decoding process starts while the rest is imported
    from medimg_core.inference.engine import choose_engine
    from medimg_core.workflows import diagnose_files as files
    from medimg_core.workflows import heart_files, series_files
    from medimg_core.workflows.beside import with_neighbours
    from medimg_core.workflows.sequence_files import with_joined

    choose_engine()  # an engine that there is not is told once and not for every image
    cards = files.choose_models(options.model)
    files.check_population(cards, options.population)
    if options.box is not None and not any(files.needs_box(card) for card in cards):
        say("The models asked look at the whole image; --box is not used.")
    progress, failures = Progress("Images answered"), 0
    series, hearts = series_files.SeriesFiles(cards), heart_files.HeartFiles(cards)

    def tell(result: dict[str, Any], words: str) -> None:
        nonlocal failures
        failures += result["status"] != "ok"
        if options.json:
            show(result)
        else:
            print(words, flush=True)

    by_name, routed, stated = {card.name: card for card in cards}, options.model == "auto", 0
    stream = with_joined(files.open_paths(options.paths, _as_spacing(options.spacing_mm)), cards, say)
    for done, (opened, beside) in enumerate(with_neighbours(stream, cards), 1):
        told: list[files.Told] = []
        for result in files.diagnose_image(
            opened,
            cards,
            options.population,
            options.out,
            routed=routed,
            box=options.box,
            beside=beside,
            told=told.append,
        ):
            tell(result, files.sentence(result, by_name.get(result["model"])))
        stated += _states_spacing(opened.image)
        series.add(opened, told)
        hearts.add(opened, told)
        progress.count(done)
    progress.close()
    if stated and options.spacing_mm is not None:
        say(f"Images that state the size of their pixels themselves: {stated:,}; --spacing-mm is not used for them.")
    for found, result in series.results():
        tell(result, series_files.sentence(found, result))
    for result in hearts.results():
        tell(result, heart_files.sentence(result))
    return SOME_FAILED if failures else DONE


def _states_spacing(image: Image | None) -> bool:
    return image is not None and image.spacing is not None and image.spacing.source != "typed"


def _as_spacing(numbers: tuple[float, float] | None) -> Spacing | None:
    from medimg_core.workflows.find import typed

    return None if numbers is None else typed(*numbers)


def explain(options: argparse.Namespace) -> int:
    """Write maps of the evidence for an answer or an outline."""
    from medimg_core.catalog import open_answering
    from medimg_core.inference.engine import choose_engine
    from medimg_core.workflows.diagnose_files import check_population
    from medimg_core.workflows.explain_files import explain_paths
    from medimg_core.workflows.explain_places import split_methods

    choose_engine()  # as in `predict`
    card = open_answering(options.model)
    check_population([card], options.population)
    split_methods(card, options.method, options.target)  # what cannot be done is told before any image is read
    progress, statuses = Progress("Maps written"), list[str]()
    results = explain_paths(
        options.paths,
        card,
        options.method,
        options.out,
        target=options.target,
        population=options.population,
        engine=options.engine,
        box=options.box,
        png=options.png,
        say=say,
        progress=lambda share: progress.count(len(statuses), f", {share:.0%} of the next image"),
    )
    for result in results:
        statuses.append(result["status"])
        if options.json:
            show(result)
        else:
            written = ", ".join(name for name in (result["npy"], result["png"]) if name)
            print(f"{result['file']}: {written} {result['reason']}".rstrip(), flush=True)
    progress.close()
    return DONE if set(statuses) <= {"ok"} else SOME_FAILED
