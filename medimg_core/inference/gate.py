"""The first gate: what is not one whole, upright, frontal chest film is refused before any probability is shown.

Three looks, the cheapest first: the header, the grey levels, a small network. A refusal names its reason; what is
doubtful passes and names it too. Header entries are never quoted, because free text can hold a name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType

from medimg_core.catalog import ModelCard, open_model
from medimg_core.imaging.quality import Quality, measure
from medimg_core.inference.gate_network import ACCEPTED, impression, limits
from medimg_core.types import GateVerdict, Image

_FILM_MODALITIES = frozenset({"CR", "DX", "DR", "RG", "OT", "SC"})
_MODALITIES: Mapping[str, tuple[str, str]] = {
    "CT": ("ct", "a CT slice"),
    "MR": ("mr", "an MR slice"),
    "US": ("ultrasound", "an ultrasound picture"),
    "IVUS": ("ultrasound", "an ultrasound picture"),
    "MG": ("mammogram", "a mammogram"),
    "PT": ("radiograph_other", "a PET slice"),
    "NM": ("radiograph_other", "a scintigram"),
    "IO": ("radiograph_other", "a dental film"),
    "PX": ("radiograph_other", "a film of the jaws"),
    "OP": ("fundus", "a photograph of the eye"),
    "OPT": ("fundus", "a scan of the eye"),
    "ES": ("photo", "an endoscopic picture"),
    "XC": ("photo", "a photograph"),
    "GM": ("photo", "a microscopic picture"),
    "SM": ("photo", "a microscopic picture"),
    "DOC": ("document", "a document"),
    "SEG": ("document", "a drawn outline"),
    "RTDOSE": ("document", "a dose plan"),
    "RTIMAGE": ("radiograph_other", "a picture of a radiotherapy machine"),
}
"""DICOM Modality (PS3.3 C.7.3.1.1.1) -> kind, words."""

_CHEST_PARTS = ("CHEST", "THORAX", "LUNG", "RIB", "STERNUM", "HEART", "MEDIASTINUM", "CLAVICLE", "TORSO", "BODY")
_LATERAL_VIEWS = frozenset({"LL", "RL"})
_OBLIQUE_VIEWS = frozenset({"RLO", "LLO", "RAO", "LAO", "RPO", "LPO"})
_DECUBITUS_VIEWS = frozenset({"RLD", "LLD"})

_KINDS: Mapping[str, str] = {
    "chest_inverted": "a chest film with black and white exchanged",
    "chest_turned": "a chest film that lies on its side or upside down",
    "chest_cropped": "a part of a chest film, without the whole of both lungs",
    "chest_several": "several pictures in one",
    "radiograph_other": "a film of a limb, hip or shoulder",
    "mammogram": "a mammogram",
    "ct": "a CT slice",
    "mr": "an MR slice",
    "ultrasound": "an ultrasound picture",
    "fundus": "a photograph of the retina",
    "photo": "a photograph",
    "document": "a page, a drawing or a picture of a screen",
}
"""Class of the network -> words that complete "takes it for ..."."""

_HEADLINES: Mapping[str, str] = {
    "chest_inverted": "Not analysed: black and white are exchanged in this film.",
    "chest_turned": "Not analysed: this film is not upright.",
    "chest_cropped": "Not analysed: this film does not show both lungs.",
    "chest_several": "Not analysed: this is more than one film.",
    "lateral": "Not analysed: this is not a frontal film.",
    "raw": "Not analysed: these are raw detector data.",
    "blank": "Not analysed: there is hardly anything in this picture.",
    "quality": "Not analysed: this picture cannot be judged.",
}
_NEXT_STEPS: Mapping[str, str] = {
    "chest_inverted": "Invert the film where it was exported, or load the DICOM file, and try again.",
    "chest_turned": "Turn the film upright where it was exported and load it again.",
    "chest_cropped": "Load the whole film.",
    "chest_several": "Save the frontal film by itself and load that.",
    "lateral": "Load the frontal film (PA or AP) of the study.",
    "raw": "Load the file that is marked FOR PRESENTATION.",
    "photo": "Load the film itself as DICOM, or as it was exported from the archive, not a photograph of it.",
    "document": "Load the film itself as DICOM, or as it was exported from the archive, not a picture of the screen.",
}
_ACCEPTED = "One frontal chest film (PA or AP) showing both lungs, upright in the picture, as DICOM, PNG, JPEG or TIFF."


@dataclass(frozen=True, slots=True)
class _Rule:
    """A limit on one figure of `Quality`; `sign` is 1 where too much is wrong, -1 where too little is."""

    figure: str
    sign: int
    doubt: float
    refuse: float
    kind: str
    reason: str

    def broken(self, quality: Quality) -> str:
        """`refuse`, `doubt` or an empty string."""
        value = float(getattr(quality, self.figure)) * self.sign
        if value > self.refuse * self.sign:
            return "refuse"
        return "doubt" if value > self.doubt * self.sign else ""


# Real films of `train` and `val` keep clear of every limit of refusal: shorter side 66 pixels and more, aspect up to
# 3.4, contrast 0.24 and more, 94 levels and more, commonest level up to 0.49, clipped up to 0.51, margin up to 0.35.
_RULES = (
    _Rule("contrast", -1, 0.20, 0.06, "blank", "It is almost all of one shade."),
    _Rule("commonest", 1, 0.60, 0.85, "blank", "Most of it is one grey level."),
    _Rule("margin", 1, 0.50, 0.75, "blank", "Most of it is empty margin."),
    _Rule("missing", 1, 0.25, 0.60, "blank", "Much of it holds no data."),
    _Rule("shorter", -1, 100, 48, "quality", "It has too few pixels to show the lungs well."),
    _Rule("aspect", 1, 2.6, 4.0, "quality", "It is much longer than it is wide, or the other way round."),
    _Rule("levels", -1, 64, 16, "document", "It has too few grey levels for a film."),
    _Rule("clipped", 1, 0.55, 0.85, "quality", "Much of it is quite black or quite white, without detail."),
    _Rule("coloured", 1, 0.02, 0.25, "photo", "It is in colour; a chest film is grey."),
)


def check(image: Image, card: ModelCard) -> GateVerdict:
    """Judge whether an image may be shown to a model.

    Args:
        image: as read, any modality.
        card: the model's card; `card.gate` names the folder of the network beside it.

    Returns:
        Refused with one or more reasons; or passed, where reasons mean doubt. `figures` holds what was measured.

    Raises:
        ModelUnavailable: the folder of the input check is there but damaged.
    """
    refusals, doubts, kind = _header(image)
    if refusals:
        return GateVerdict(False, refusals, kind)
    quality = measure(image)
    figures = MappingProxyType({name: float(value) for name, value in asdict(quality).items()})
    broken = [(rule, rule.broken(quality)) for rule in _RULES]
    refusing = [rule for rule, how in broken if how == "refuse"]
    doubts += tuple(rule.reason for rule, how in broken if how == "doubt")
    gate = _gate_card(card)
    seen = None if gate is None or any(rule.kind == "blank" for rule in refusing) else _network(image, gate, figures)
    if refusing:
        # The network may know what it is, where the grey levels only say that it is no film.
        known = (seen.reasons, seen.kind) if seen and not seen.passed else ((), refusing[0].kind)
        return GateVerdict(False, (*known[0], *(rule.reason for rule in refusing)), known[1], figures)
    if seen is None:
        doubts += ("Not checked: no input check is installed for this model.",)
        return GateVerdict(True, doubts, "not_checked", figures)
    return replace(seen, reasons=doubts + seen.reasons) if seen.passed else seen


def _gate_card(card: ModelCard) -> ModelCard | None:
    """The card of the input check beside the model; None where the model names none or its folder is absent."""
    if card.gate is None or not (card.folder.parent / card.gate / "card.toml").is_file():
        return None
    return open_model(card.gate, card.folder.parent)


def _header(image: Image) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Reasons to refuse, reasons to doubt, and the kind; ordinary pictures have no header and no reasons."""
    view, part = (image.view or "").upper().strip(), (image.body_part or "").upper()
    modality = (image.modality or "").upper()
    if image.for_processing:
        return ("The header marks it FOR PROCESSING: raw detector data that are not meant for reading.",), (), "raw"
    if modality in _MODALITIES:
        kind, words = _MODALITIES[modality]
        return (f"The header says that it is {words}.",), (), kind
    if view in _LATERAL_VIEWS or "LAT" in view:
        return ("The header says that it is a lateral film.",), (), "lateral"
    if view in _OBLIQUE_VIEWS:
        return ("The header says that it is an oblique film.",), (), "lateral"
    doubts = []
    if view in _DECUBITUS_VIEWS:
        doubts.append("The header says that the patient lay on one side.")
    if modality and modality not in _FILM_MODALITIES:
        doubts.append("The header names a modality other than plain film.")
    if part and not any(word in part for word in _CHEST_PARTS):
        # Often left at the console's last setting, so that it alone refuses nothing: the network decides.
        doubts.append("The header names a part of the body other than the chest.")
    return (), tuple(doubts), ""


def _network(image: Image, gate: ModelCard, figures: Mapping[str, float]) -> GateVerdict:
    """The verdict of the network alone."""
    seen, limit = impression(image, gate), limits(gate)
    measured = MappingProxyType({**figures, "frontal": seen.frontal, "distance": seen.distance})
    if seen.frontal < limit.refuse_below:
        return GateVerdict(False, (f"The input check takes it for {_KINDS[seen.other]}.",), seen.other, measured)
    if seen.distance > limit.refuse_beyond:
        return GateVerdict(False, ("It is unlike every film that the input check was made with.",), "unlike", measured)
    doubts: tuple[str, ...] = ()
    if seen.frontal < limit.doubt_below:
        doubts = (f"The input check is not certain: it could also be {_KINDS[seen.other]}.",)
    elif seen.distance > limit.doubt_beyond:
        doubts = ("It differs from most films that the input check was made with.",)
    return GateVerdict(True, doubts, ACCEPTED, measured)


def accepted(card: ModelCard) -> str:
    """What the model takes, in one sentence (the row Accepted of a refusal)."""
    return str(card.text.get("accepted", _ACCEPTED))


def headline(verdict: GateVerdict) -> str:
    """The sentence above a refusal."""
    return _HEADLINES.get(verdict.kind, "Not analysed: this is not a chest film.")


def next_step(verdict: GateVerdict) -> str:
    """What to do after a refusal, or with the doubts of a film that passed."""
    if not verdict.passed:
        return _NEXT_STEPS.get(verdict.kind, "Load a frontal chest film; for other examinations choose their model.")
    return "Look at the film yourself before you use the answer." if verdict.reasons else ""
