"""The command line. Results go to standard output, progress and errors to standard error.

Exit status: 0 all done; 1 some inputs failed or were refused, the rest is done; 2 the command cannot be carried out
as it was given.

Nothing heavy is imported before a command needs it: `predict` answers within a second of the start.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medimg_core.errors import BadRequest, MedImgError
from medimg_core.progress import Progress

if TYPE_CHECKING:
    from medimg_core.catalog import ModelCard
    from medimg_core.types import Spacing
    from medimg_core.workflows.evaluate import Run

DONE, SOME_FAILED, USAGE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # File names need not be UTF-8: what cannot be printed is escaped, and the work goes on.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        status: int = options.command(options)
        sys.stdout.flush()
        return status
    except MedImgError as error:
        _say(f"{error.cause} {error.remedy}")
        return USAGE
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            # The reader (head, less) has gone: nothing more to say, and nothing to flush at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return DONE
        _say(f"The results could not be written ({error.strerror or type(error).__name__}). Check the folder of --out.")
        return USAGE if isinstance(error, (PermissionError, NotADirectoryError, FileExistsError)) else SOME_FAILED
    except KeyboardInterrupt:
        _say("Stopped as asked. What was finished before is kept.")
        return SOME_FAILED
    except Exception as error:
        # Messages of libraries quote what they were reading, so the place is told and the message is not.
        place = traceback.extract_tb(error.__traceback__)[-1]
        fault = f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}"
        _say(f"The program failed on something that it did not foresee ({fault}). Report this line to its maintainers.")
        return SOME_FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m medimg_core", description="Explained answers to medical images.")
    commands = parser.add_subparsers(required=True, metavar="command")

    def command(name: str, function: Callable[[argparse.Namespace], int], words: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=words, description=words)
        added.set_defaults(command=function)
        return added

    models = command("models", _models, "List the installed models with their headline figure.")
    _json(models)

    predict = command("predict", _predict, "Answer images: files, folders, zips.")
    predict.add_argument("--model", default="auto", metavar="NAME|auto")
    predict.add_argument("--out", type=Path, metavar="DIR", help="folder for the masks of regions")
    predict.add_argument("--box", type=_box, metavar="x0,y0,x1,y1", help="where to look, for models that ask for it")
    predict.add_argument("--spacing-mm", type=_spacing, metavar="R,C", help="for images that state none")
    _population(predict)
    _json(predict)
    predict.add_argument("paths", nargs="+", metavar="PATH")

    explain = command("explain", _explain, "Write maps of the evidence.")
    explain.add_argument("--model", required=True, metavar="NAME")
    explain.add_argument("--method", default="gradcam", metavar="a,b|all")
    explain.add_argument("--target", metavar="CLASS", help="the decision unless given")
    explain.add_argument("--out", type=Path, required=True, metavar="DIR")
    engines = ("own", "tf-keras-vis")  # explain.ENGINES, not imported before a command needs it
    explain.add_argument("--engine", choices=engines, default="own", help="tf-keras-vis: the reference, slow")
    explain.add_argument("--no-png", dest="png", action="store_false", help="write the raw maps only")
    _population(explain)
    _json(explain)
    explain.add_argument("paths", nargs="+", metavar="PATH")

    evaluate = command("evaluate", _evaluate, "Measure a model on labelled images.")
    evaluate.add_argument("--model", required=True, metavar="NAME")
    _labelled(evaluate)
    _population(evaluate)
    evaluate.add_argument("--out", type=Path, required=True, metavar="DIR")
    _json(evaluate)

    compare = command("compare", _compare, "Compare models on the same images, with paired tests.")
    compare.add_argument("--models", metavar="A,B")
    compare.add_argument("--predictions", metavar="A.csv,B.csv", help="tables that `evaluate` wrote")
    _labelled(compare, required=False)
    _population(compare)
    compare.add_argument("--out", type=Path, required=True, metavar="DIR")
    _json(compare)

    train = command("train", _train, "Train a model from a recipe.")
    train.add_argument("recipe", type=Path, metavar="RECIPE")
    train.add_argument("--data", type=Path, required=True, metavar="DIR")
    train.add_argument("--out", type=Path, required=True, metavar="models/NAME")

    check = command("saliency-check", _saliency_check, "Measure how far maps can be trusted.")
    check.add_argument("--model", required=True, metavar="NAME")
    check.add_argument("--manifest", type=Path, required=True, metavar="CSV")
    check.add_argument("--split", required=True, metavar="S")
    check.add_argument("--label", default="label", metavar="COLUMN")
    check.add_argument("--method", default="all", metavar="a,b|all")
    check.add_argument("--out", type=Path, required=True, metavar="DIR")
    _json(check)
    return parser


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object a line and nothing else")


def _population(parser: argparse.ArgumentParser) -> None:
    words = "whose calibration applies; else age and view of the header, else the card's default"
    parser.add_argument("--population", metavar="ID", help=words)


def _labelled(parser: argparse.ArgumentParser, required: bool = True) -> None:
    source = parser.add_mutually_exclusive_group(required=required)
    source.add_argument("--manifest", type=Path, metavar="CSV")
    source.add_argument("--folder", type=Path, metavar="DIR", help="one folder a class")
    parser.add_argument("--split", metavar="S")
    parser.add_argument("--label", default="label", metavar="COLUMN")
    parser.add_argument("--map", default="", metavar="yes=pneumonia,no=normal")


def _box(text: str) -> tuple[float, ...]:
    return _numbers(text, 4, "x0,y0,x1,y1")


def _spacing(text: str) -> tuple[float, ...]:
    numbers = _numbers(text, 2, "R,C")
    if min(numbers) <= 0:
        raise argparse.ArgumentTypeError("distances are above zero")
    return numbers


def _numbers(text: str, count: int, form: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != count or not all(math.isfinite(number) for number in numbers):
        raise argparse.ArgumentTypeError(f"write {count} numbers as {form}")
    return numbers


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _print(result: Any) -> None:
    print(json.dumps(result, ensure_ascii=False), flush=True)


def _models(options: argparse.Namespace) -> int:
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
            _print(described)
        else:
            print(sentence(described))
    for error in damaged:
        _say(str(error))
    return SOME_FAILED if damaged else DONE


def _predict(options: argparse.Namespace) -> int:
    from medimg_core.io import warm_up

    warm_up()  # the decoding process starts while the rest is imported
    from medimg_core.inference.engine import choose_engine
    from medimg_core.workflows import diagnose_files as files
    from medimg_core.workflows import series_files

    choose_engine()  # an engine that there is not is told once and not for every image
    cards = files.choose_models(options.model)
    files.check_population(cards, options.population)
    if options.box is not None:
        _say("No installed model asks for a box; --box is not used.")
    by_name = {card.name: card for card in cards}
    progress, failures, series = Progress("Images answered"), 0, series_files.SeriesFiles(cards)
    for done, opened in enumerate(files.open_paths(options.paths, _as_spacing(options.spacing_mm)), 1):
        told: list[files.Told] = []
        for result in files.diagnose_image(
            opened, cards, options.population, options.out, routed=options.model == "auto", told=told.append
        ):
            failures += result["status"] != "ok"
            if options.json:
                _print(result)
            else:
                print(files.sentence(result, by_name.get(result["model"])), flush=True)
        series.add(opened, told)
        progress.count(done)
    progress.close()
    for found, result in series.results():
        failures += result["status"] != "ok"
        if options.json:
            _print(result)
        else:
            print(series_files.sentence(found, result), flush=True)
    return SOME_FAILED if failures else DONE


def _as_spacing(numbers: tuple[float, float] | None) -> Spacing | None:
    from medimg_core.types import Spacing

    return None if numbers is None else Spacing(*numbers, source="typed")


def _explain(options: argparse.Namespace) -> int:
    from medimg_core.catalog import open_answering
    from medimg_core.inference.engine import choose_engine
    from medimg_core.workflows.diagnose_files import check_population
    from medimg_core.workflows.explain import method_names
    from medimg_core.workflows.explain_files import explain_paths

    choose_engine()  # as in `predict`
    card = open_answering(options.model)
    check_population([card], options.population)
    if options.target is not None and options.target not in card.class_ids:
        raise BadRequest(f"The model has no class {options.target!r}.", f"Its classes: {', '.join(card.class_ids)}.")
    methods = ",".join(method_names(card, options.method))
    progress, statuses = Progress("Maps written"), list[str]()
    results = explain_paths(
        options.paths,
        card,
        methods,
        options.out,
        target=options.target,
        population=options.population,
        engine=options.engine,
        png=options.png,
        progress=lambda share: progress.count(len(statuses), f", {share:.0%} of the next image"),
    )
    for result in results:
        statuses.append(result["status"])
        if options.json:
            _print(result)
        else:
            written = ", ".join(name for name in (result["npy"], result["png"]) if name)
            print(f"{result['file']}: {written} {result['reason']}".rstrip(), flush=True)
    progress.close()
    return DONE if set(statuses) <= {"ok"} else SOME_FAILED


def _evaluate(options: argparse.Namespace) -> int:
    from medimg_core.catalog import open_answering

    run, content = _measure(open_answering(options.model), options, options.out)
    if options.json:
        _print(content)
    else:
        _print_figures(content)
        print(f"Written to {options.out}: predictions.csv, metrics.json, report.html")
    return SOME_FAILED if run.count("refused") + run.count("error") else DONE


def _measure(card: ModelCard, options: argparse.Namespace, out: Path) -> tuple[Run, dict[str, Any]]:
    from medimg_core.workflows.diagnose_files import check_population
    from medimg_core.workflows.evaluate import check_labels, evaluate, write_run
    from medimg_core.workflows.manifest import label_classes, parse_map, read_class_folders, read_manifest

    check_population([card], options.population)
    classes = label_classes(card.class_ids, card.label_map, parse_map(options.map), numbered=card.form == "grade")
    if options.manifest is not None:
        rows = read_manifest(options.manifest, options.split, options.label)
    else:
        rows = read_class_folders(options.folder)
    check_labels(card, rows, classes)
    progress = Progress(f"{card.name}, image")
    run = evaluate(card, rows, classes, population=options.population, out=out, progress=progress.images)
    progress.close()
    facts = {"split": options.split, "label": options.label if options.manifest else "folder", "map": options.map}
    return run, write_run(run, out, {key: value for key, value in facts.items() if value})


def _print_figures(content: dict[str, Any]) -> None:
    print(f"{content['n']} images, {content['refused']} refused, {content['errors']} unreadable")
    for label, n in content["unknown_labels"].items():
        print(f"label {label!r} is not known to the model: {n} images stand in no figure")
    for name, both in content["metrics"].items():
        cells = [both["refused_left_out"], both["refused_wrong"]]
        shown = ["-" if c is None else f"{c['value']:.3f} ({c['low']:.3f}–{c['high']:.3f}) n {c['n']}" for c in cells]
        print(f"{name:22} {shown[0]:32} with refused images wrong {shown[1]}")


def _compare(options: argparse.Namespace) -> int:
    from medimg_core.catalog import open_answering
    from medimg_core.workflows.compare import as_json, check_same_classes, compare, write_comparison
    from medimg_core.workflows.predictions import Table, read_predictions

    if (options.models is None) == (options.predictions is None):
        raise BadRequest("A comparison needs either models or predictions.", "Give --models A,B or --predictions.")
    tables: dict[str, Table] = {}
    positive, failures = None, 0
    if options.predictions is not None:
        for name in options.predictions.split(","):
            tables[_table_name(Path(name), tables)] = read_predictions(Path(name))
    else:
        if options.manifest is None and options.folder is None:
            raise BadRequest("There are no images to compare on.", "Give --manifest CSV or --folder DIR.")
        cards = [open_answering(name.strip()) for name in options.models.split(",")]
        check_same_classes({card.name: card.class_ids for card in cards})  # before hours of work
        for card in cards:
            run, _ = _measure(card, options, options.out / card.name)
            tables[card.name], positive = run.table, card.class_ids[card.positive]
            failures += run.count("refused") + run.count("error")
    found = compare(tables, positive)
    write_comparison(found, options.out)
    if options.json:
        _print(as_json(found))
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


def _train(options: argparse.Namespace) -> int:
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
    for name, measured in content["test_sets"].items():
        figure = measured["metrics"]["auroc"]
        spread = f"{figure['low']:.3f}–{figure['high']:.3f}"
        print(f"{name}: AUROC {figure['value']:.3f} ({spread}), n {measured['n']}")
    print(f"Written to {options.out}")
    for limit in read_card(options.out).text.get("limits", ())[:1]:
        print(limit)
    return DONE


def _saliency_check(options: argparse.Namespace) -> int:
    from medimg_core.catalog import open_answering
    from medimg_core.workflows.saliency_check import saliency_check

    progress = Progress("Films")
    checks = saliency_check(
        open_answering(options.model),
        options.manifest,
        options.split,
        options.method,
        options.out,
        label=options.label,
        progress=progress,
    )
    progress.close()
    for check in checks:
        if options.json:
            _print({"method": check.method, **check.as_json()})
        else:
            print(_in_words(check.method, check.as_json()))
    return DONE


def _in_words(method: str, figures: dict[str, Any]) -> str:
    """`cam: pointing game 0.92 (0.88–0.95), ...`: every figure that has an interval."""
    shown = [
        f"{name.replace('_', ' ')} {f['value']:.2f} ({f['low']:.2f}–{f['high']:.2f})"
        for name, f in figures.items()
        if isinstance(f, dict) and {"value", "low", "high"} <= set(f)
    ]
    return f"{method}: {', '.join(shown)}, n {figures['n']}"
