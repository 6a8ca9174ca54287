"""The options of every command."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from medimg_core.cli import answering, measuring


class Parser(argparse.ArgumentParser):
    """Takes `--box -5,0,20,30` for what it is: lists of numbers may begin with a minus like single ones."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._negative_number_matcher = re.compile(r"-\.?\d")


Add = Callable[[str, Callable[[argparse.Namespace], int], str], Parser]
"""Adds a command: its name, what carries it out, what it does in words."""


def parser() -> Parser:
    """All commands with their options; `command` holds the function that carries one out."""
    whole = Parser(prog="python -m medimg_core", description="Explained answers to medical images.")
    commands = whole.add_subparsers(required=True, metavar="command")

    def add(name: str, function: Callable[[argparse.Namespace], int], words: str) -> Parser:
        added = commands.add_parser(name, help=words, description=words)
        added.set_defaults(command=function)
        return added

    _looking(add)
    _measuring(add)
    return whole


def _looking(command: Add) -> None:
    models = command("models", answering.models, "List the installed models with their headline figure.")
    _json(models)

    predict = command("predict", answering.predict, "Answer images: files, folders, zips.")
    predict.add_argument("--model", default="auto", metavar="NAME|auto")
    predict.add_argument("--out", type=Path, metavar="DIR", help="folder for the masks of regions")
    predict.add_argument("--box", type=_box, metavar="x0,y0,x1,y1", help="where to look, for models that ask for it")
    predict.add_argument("--spacing-mm", type=_spacing, metavar="R,C", help="for images that state none")
    _population(predict)
    _json(predict)
    predict.add_argument("paths", nargs="+", metavar="PATH")

    explain = command("explain", answering.explain, "Write maps of the evidence.")
    explain.add_argument("--model", required=True, metavar="NAME")
    explain.add_argument("--method", metavar="a,b|all", help="gradcam unless given, of an outline seg_gradcam")
    explain.add_argument("--target", metavar="CLASS|STRUCTURE", help="else the decision, or the first structure")
    explain.add_argument("--box", type=_box, metavar="x0,y0,x1,y1", help="where to look, for models that ask for it")
    explain.add_argument("--out", type=Path, required=True, metavar="DIR")
    engines = ("own", "tf-keras-vis")  # explain.ENGINES, not imported before a command needs it
    explain.add_argument("--engine", choices=engines, default="own", help="tf-keras-vis: the reference, slow")
    explain.add_argument("--no-png", dest="png", action="store_false", help="write the raw maps only")
    _population(explain)
    _json(explain)
    explain.add_argument("paths", nargs="+", metavar="PATH")


def _measuring(command: Add) -> None:
    evaluate = command("evaluate", measuring.evaluate, "Measure a model on labelled images.")
    evaluate.add_argument("--model", required=True, metavar="NAME")
    _labelled(evaluate)
    _population(evaluate)
    evaluate.add_argument("--out", type=Path, required=True, metavar="DIR")
    _json(evaluate)

    compare = command("compare", measuring.compare, "Compare models on the same images, with paired tests.")
    compare.add_argument("--models", metavar="A,B")
    compare.add_argument("--predictions", metavar="A.csv,B.csv", help="tables that `evaluate` wrote")
    _labelled(compare, required=False)
    _population(compare)
    compare.add_argument("--out", type=Path, required=True, metavar="DIR")
    _json(compare)

    train = command("train", measuring.train, "Train a model from a recipe.")
    train.add_argument("recipe", type=Path, metavar="RECIPE")
    train.add_argument("--data", type=Path, required=True, metavar="DIR")
    train.add_argument("--out", type=Path, required=True, metavar="models/NAME")

    check = command("saliency-check", measuring.saliency_check, "Measure how far maps can be trusted.")
    check.add_argument("--model", required=True, metavar="NAME")
    check.add_argument("--manifest", type=Path, required=True, metavar="CSV")
    check.add_argument("--split", required=True, metavar="S")
    check.add_argument("--label", default="label", metavar="COLUMN")
    check.add_argument("--method", default="all", metavar="a,b|all")
    check.add_argument("--out", type=Path, required=True, metavar="DIR")
    _json(check)


def _json(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object a line and nothing else")


def _population(parser: Parser) -> None:
    words = "whose calibration applies; else age and view of the header, else the card's default"
    parser.add_argument("--population", metavar="ID", help=words)


def _labelled(parser: Parser, required: bool = True) -> None:
    source = parser.add_mutually_exclusive_group(required=required)
    source.add_argument("--manifest", type=Path, metavar="CSV")
    source.add_argument("--folder", type=Path, metavar="DIR", help="one folder a class")
    parser.add_argument("--split", metavar="S")
    parser.add_argument("--label", default="label", metavar="COLUMN")
    parser.add_argument("--map", default="", metavar="yes=pneumonia,no=normal")


def _box(text: str) -> tuple[float, ...]:
    numbers = _numbers(text, 4, "x0,y0,x1,y1")
    if numbers[0] >= numbers[2] or numbers[1] >= numbers[3]:
        raise argparse.ArgumentTypeError("a box has x0 below x1 and y0 below y1")
    if numbers[2] <= 0 or numbers[3] <= 0:
        raise argparse.ArgumentTypeError("the box lies outside every image: pixels count from 0 at the top left")
    return numbers


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
