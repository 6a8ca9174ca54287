"""The first gate: what is not of the kind that a model takes is refused before any probability is shown.

Three looks, the cheapest first: the header, the grey levels, the router's network. A refusal names its reason; what is
doubtful passes and names it too. Header entries are never quoted, because free text can hold a name.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, replace
from types import MappingProxyType
from typing import Final

from medimg_core.catalog import ModelCard, hashes, open_model
from medimg_core.imaging.prepare import is_grey
from medimg_core.imaging.quality import measure
from medimg_core.inference.gate_network import Impression, impression, limits
from medimg_core.inference.gate_rules import broken
from medimg_core.inference.kinds import FOREIGN, HEADERS, KNOWN, NEUTRAL, fits, listed, words
from medimg_core.types import GateVerdict, Image

ROUTER = "router"
"""The folder of the network beside the models."""

_LATERAL_VIEWS = frozenset({"LL", "RL"})
_OBLIQUE_VIEWS = frozenset({"RLO", "LLO", "RAO", "LAO", "RPO", "LPO"})
_DECUBITUS_VIEWS = frozenset({"RLD", "LLD"})

EMPTY_BOX: Final = "empty_box"
"""Kind of a picture that passed, in whose box a model found nothing to outline."""

_HEADLINES: Mapping[str, str] = {
    "chest_inverted": "Not analysed: black and white are exchanged in this film.",
    "chest_turned": "Not analysed: this film is not upright.",
    "chest_cropped": "Not analysed: this film does not show both lungs.",
    "chest_several": "Not analysed: this is more than one film.",
    "inverted": "Not analysed: black and white are exchanged in this picture.",
    "turned": "Not analysed: this picture is not upright.",
    "cropped": "Not analysed: this is only a small part of a picture.",
    "several": "Not analysed: this is more than one picture.",
    "written": "Not analysed: too much of this picture is covered.",
    "lateral": "Not analysed: this is not a frontal film.",
    "raw": "Not analysed: these are raw detector data.",
    "blank": "Not analysed: there is hardly anything in this picture.",
    EMPTY_BOX: "Nothing was outlined in the box, so nothing is rated.",
    "quality": "Not analysed: this picture cannot be judged.",
    "unlike": "Not analysed: this is unlike every picture that the models here were made for.",
    "unsure": "Not analysed: it is not certain what this picture shows.",
    "one_sequence": "Not analysed: this is one MR sequence, and three are needed.",
}
_NEXT_STEPS: Mapping[str, str] = {
    "chest_inverted": "Invert the film where it was exported, or load the DICOM file, and try again.",
    "chest_turned": "Turn the film upright where it was exported and load it again.",
    "chest_cropped": "Load the whole film.",
    "chest_several": "Save the frontal film by itself and load that.",
    "inverted": "Invert the picture where it was exported, or load the DICOM file, and try again.",
    "turned": "Turn the picture upright where it was exported and load it again.",
    "cropped": "Load the whole picture.",
    "several": "Save each picture by itself and load those.",
    "written": "Load the picture without writing and boxes on it.",
    EMPTY_BOX: "Draw the box closely round one nodule, or choose the slice in which it is largest.",
    "lateral": "Load the frontal film (PA or AP) of the study.",
    "raw": "Load the file that is marked FOR PRESENTATION.",
    "photo": "Load the image itself as DICOM, or as it was exported from the archive, not a photograph of it.",
    "document": "Load the image itself as DICOM, or as it was exported from the archive, not a picture of the screen.",
    "one_sequence": "Load the series before contrast, FLAIR and after contrast, or slices with the three as red, green "
    "and blue.",
}
_SEQUENCES = "brain_mr_sequences"
_BRAIN_MR = frozenset({_SEQUENCES, "brain_mr_t1c"})
"""What the router takes a grey slice of the brain for, whatever its sequence."""
_KEPT = 2048
"""Impressions kept, a few kilobytes each."""

_seen: OrderedDict[tuple[str, str, str, str], Impression] = OrderedDict()
_lock = threading.Lock()


def identify(image: Image, router: ModelCard | None = None) -> Impression:
    """What the router makes of a picture; the same picture is looked at once, whichever models ask.

    Args:
        router: card of the router; that of the installed models where None.

    Raises:
        ModelUnavailable: the router is missing or damaged.
    """
    router = router or open_model(ROUTER)
    key = (image.digest, image.modality_units, str(router.folder), hashes(router).get("model.tflite", ""))
    with _lock:
        if image.digest and key in _seen:
            _seen.move_to_end(key)
            return _seen[key]
    seen = impression(image, router)
    if image.digest:
        with _lock:
            _seen[key] = seen
            while len(_seen) > _KEPT:
                _seen.popitem(last=False)
    return seen


def check(image: Image, card: ModelCard) -> GateVerdict:
    """Judge whether an image may be shown to a model.

    Args:
        image: as read, any modality.
        card: the model's card; `card.gate` names the folder of the router beside it, `card.takes` the kinds that it
            may be shown. A card that names no kind takes every known one.

    Returns:
        Refused with one or more reasons; or passed, where reasons mean doubt. `kind` is the kind that the router
        names, or `lateral`, `raw`, `blank`, `quality`, `unlike` (far from all known pictures), `unsure` (between two
        kinds), `one_sequence` (grey where three sequences stand as colours), `not_checked` (no router). `figures` holds
        what was measured.

    Raises:
        ModelUnavailable: the folder of the router is there but damaged.
    """
    takes = tuple(kind for kind in card.takes if kind in KNOWN) or tuple(KNOWN)
    router = _router(card)
    refusals, doubts, kind = _header(image, takes)
    if refusals:
        return GateVerdict(False, refusals, _header_kind(image, kind, router))
    seen = identify(image, router) if router is not None else None
    quality = seen.quality if seen is not None else measure(image)
    figures = {name: float(value) for name, value in asdict(quality).items()}
    wanted = seen.likeliest(takes) if seen is not None else takes[0]
    verdict = _network(seen, takes, wanted, router) if seen is not None and router is not None else _UNCHECKED
    refusing, doubting = broken(quality, wanted)
    if any(rule.kind == "blank" for rule in refusing):
        return GateVerdict(False, tuple(rule.reason for rule in refusing), "blank", MappingProxyType(figures))
    if seen is not None:
        figures |= {"share": seen.shares.get(wanted, 0.0), "distance": seen.distances.get(wanted, float("nan"))}
    verdict = replace(verdict, figures=MappingProxyType(figures))
    if wanted == _SEQUENCES and image.photometric != "RGB" and (seen is None or seen.kind in _BRAIN_MR):
        reason = "It is grey: one sequence, where the model compares three that stand as red, green and blue."
        return replace(verdict, passed=False, reasons=(reason,), kind="one_sequence")
    if refusing:
        # The network may know what it is, where the grey levels only say that it cannot be used.
        known, reasons = (refusing[0].kind, ()) if verdict.passed else (verdict.kind, verdict.reasons)
        return replace(verdict, passed=False, reasons=(*reasons, *(rule.reason for rule in refusing)), kind=known)
    if not verdict.passed:
        return verdict
    if wanted == _SEQUENCES and is_grey(image):
        # Slices at the end of a volume show hardly anything; two patients of the test set have FLAIR alone.
        doubts = (*doubts, "Its three colours are alike: one sequence stands for three, or the slice shows too little.")
    return replace(verdict, reasons=(*doubts, *(rule.reason for rule in doubting), *verdict.reasons))


_UNCHECKED = GateVerdict(True, ("Not checked: no input check is installed for this model.",), "not_checked")


def _router(card: ModelCard) -> ModelCard | None:
    """The card of the router beside the model; None where the model names none or its folder is absent."""
    if card.gate is None or not (card.folder.parent / card.gate / "card.toml").is_file():
        return None
    return open_model(card.gate, card.folder.parent)


def _header(image: Image, takes: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Reasons to refuse, reasons to doubt, and the kind; ordinary pictures have no header and no reasons."""
    view, part = (image.view or "").upper().strip(), (image.body_part or "").upper()
    modality = (image.modality or "").upper()
    if image.for_processing and modality != "CT":
        return ("The header marks it FOR PROCESSING: raw detector data that are not meant for reading.",), (), "raw"
    if not fits(modality, takes):
        kind, named = HEADERS[modality]
        return (f"The header says that it is {named}.",), (), kind
    if takes == ("chest_frontal",):
        if view in _LATERAL_VIEWS or "LAT" in view:
            return ("The header says that it is a lateral film.",), (), "lateral"
        if view in _OBLIQUE_VIEWS:
            return ("The header says that it is an oblique film.",), (), "lateral"
    doubts = []
    if takes == ("chest_frontal",) and view in _DECUBITUS_VIEWS:
        doubts.append("The header says that the patient lay on one side.")
    if modality not in NEUTRAL and modality not in HEADERS:
        doubts.append("The header names a modality that this check does not know.")
    if image.bits > 8 and not image.windows and image.voi_lut is None and image.modality_units != "HU":
        doubts.append("The file names no window: its grey levels were spread by the pixels alone.")
    expected = {word for kind in takes for word in KNOWN[kind].parts}
    if part and all(KNOWN[kind].parts for kind in takes) and not any(word in part for word in expected):
        # Often left at the console's last setting, so that it alone refuses nothing: the network decides.
        doubts.append("The header names another part of the body.")
    return (), tuple(doubts), ""


def _header_kind(image: Image, kind: str, router: ModelCard | None) -> str:
    """The kind of a picture that its header rules out: the router's, where it agrees with the header."""
    if kind not in ("ct", "mr", "ultrasound", "radiograph_other") or router is None:
        return kind
    named = identify(image, router).kind
    return named if named in KNOWN and (image.modality or "").upper() in KNOWN[named].modalities else kind


def _network(seen: Impression, takes: tuple[str, ...], wanted: str, router: ModelCard) -> GateVerdict:
    """The verdict of the network alone; `wanted` is the likeliest kind that the model takes."""
    if seen.kind not in takes:
        return GateVerdict(False, (f"The input check takes it for {words(seen.kind)}.",), seen.kind)
    limit, share, distance = limits(router, wanted), seen.shares[wanted], seen.distances[wanted]
    could = f"it could also be {words(seen.besides(wanted))}."
    if share < limit.refuse_below:
        return GateVerdict(False, (f"The input check is not certain: {could}",), "unsure")
    if distance > limit.refuse_beyond:
        return GateVerdict(False, ("It is unlike every picture that the input check was made with.",), "unlike")
    if share < limit.doubt_below:
        return GateVerdict(True, (f"The input check is not certain: {could}",), wanted)
    if distance > limit.doubt_beyond:
        return GateVerdict(True, ("It differs from most pictures that the input check was made with.",), wanted)
    return GateVerdict(True, (), wanted)


def accepted(card: ModelCard) -> str:
    """What the model takes, in plain words (the row Accepted of a refusal)."""
    return str(card.text.get("accepted", " ".join(KNOWN[kind].accepted for kind in card.takes if kind in KNOWN)))


def headline(verdict: GateVerdict, card: ModelCard | None = None) -> str:
    """The sentence above a refusal, for the model that was asked, or for all of them."""
    if verdict.kind in _HEADLINES:
        return _HEADLINES[verdict.kind]
    wanted = f", not {listed(card.takes)}" if card is not None and card.takes else ""
    if verdict.kind in KNOWN or verdict.kind in FOREIGN:
        return f"Not analysed: this is {words(verdict.kind)}{wanted}."
    return "Not analysed: this picture cannot be used."


def next_step(verdict: GateVerdict, card: ModelCard | None = None) -> str:
    """What to do after a refusal, or with the doubts of an image that passed."""
    if verdict.passed:
        return "Look at the image yourself before you use the answer." if verdict.reasons else ""
    if verdict.kind in _NEXT_STEPS:
        return _NEXT_STEPS[verdict.kind]
    if card is not None and card.takes:
        return f"Load {listed(card.takes)}; for other examinations choose their model."
    return "Load an image of a kind that one of the models takes."
