"""Which MR sequence a file holds: T1 before or after contrast, or FLAIR. Names of series are read, never passed on.

A series' own name says most, but is free text; times of the sequence may contradict it and stand in where it says
nothing. Ranges are wide, for 0.5 to 3 T (Bernstein, King, Zhou, Handbook of MRI Pulse Sequences, 2004, 14.1 to 17.2):
FLAIR has a long echo and nulls fluid at an inversion time of 1.5 to 2.8 s, T1 has a short echo.
"""

from __future__ import annotations

import re
from typing import Final

from medimg_core.io.dicom.values import Dataset, number, present, text
from medimg_core.types import MrSequence

_OTHER: Final = re.compile(
    r"\bT2 ?\*|\bT2STAR|DWI|\bDTI|\bADC|TRACE|\bDIFF|\bSWI|SWAN|PERF|\bDSC|\bDCE|\bBOLD|\bASL\b|\bMRA\b|\bTOF"
    r"|\bLOC(ALI[SZ]ER)?\b|SCOUT|SURVEY|\bMIP|\bSUB(TRA[CK]TION|TRACTED)?\b|\bT1 ?MAP"
)
_T1: Final = re.compile(r"\bT1(?!\d)|MP ?RAGE|SPGR|BRAVO")
_FLAIR: Final = re.compile(r"FLAIR|DARK ?FLUID|\bTIRM")
_T2: Final = re.compile(r"\bT2|\bPD\b|PROTON|\bSTIR")

_WITHOUT: Final = re.compile(
    r"\bPRE\b(?! ?OP)|PRE ?(GD|GAD|CONTRAST|KM)|\bNATIV|\bW ?O\b|WITHOUT|UNENH|\bNON? ?CON|\bNO ?(GD|GAD|CE|KM)\b"
    r"|\bOHNE|\bSANS|\bBEFORE|\bVOR ?KM|- ?C\b"
)
_WITH: Final = re.compile(
    r"\+ ?C\b|\bC ?\+|\bPOST\b(?! ?OP)|POST ?(GD|GAD|CONTRAST|KM)|GADO|\bGAD\b|\bGD|\+ ?GD|CONTRAST|KONTRAST|\bKM\b"
    r"|\bCE\b|ENHANCED|\bAFTER|\bINJ"
)
_NO_AGENT: Final = frozenset({"", "NO", "NON", "NONE", "N", "NA", "N/A", "NIL", "WITHOUT", "0", "-", "NO CONTRAST"})

_LONG_ECHO_MS, _SHORT_ECHO_MS = 50.0, 40.0
_FLUID_MS: Final = 1200.0
"""Inversion times above null fluid, those below fat or nothing."""

_T1_ECHO_MS, _T1_REPETITION_MS = 30.0, 1200.0
"""Without a name: echo and, of a spin echo, repetition below these weigh by T1."""


def sequence(dataset: Dataset) -> MrSequence | None:
    """The sequence of an MR file as one of three terms; None for any other, and where the header does not say."""
    if text(dataset, "Modality").upper() != "MR":
        return None
    named = _words(text(dataset, "SeriesDescription")) or _words(text(dataset, "ProtocolName"))
    weighting = _weighting(named, dataset)
    if weighting == "T1":
        return "T1 after contrast" if _contrast(named, dataset) else "T1 before contrast"
    return "FLAIR" if weighting == "FLAIR" else None


def _words(named: str) -> str:
    """In capitals, with blanks for what parts words: `t1_tra_dark-fluid` and `T1 (tra) dark fluid` are one."""
    return re.sub(r"[^A-Z0-9+*-]+|-(?=[A-Z]{2})", " ", named.upper()).strip()


def _weighting(named: str, dataset: Dataset) -> str | None:
    """`T1`, `FLAIR` or None: by the series' name unless times of the sequence contradict it, without one by these."""
    echo, inversion = number(dataset, "EchoTime"), number(dataset, "InversionTime")
    kinds = text(dataset, "ScanningSequence").upper().split("\\")
    if _OTHER.search(named) or "EP" in kinds:
        return None
    slow = inversion is not None and inversion >= _FLUID_MS
    if _T1.search(named):  # T1 FLAIR too: a T1 whose inversion pulse nulls fluid early
        return "T1" if echo is None or echo <= _SHORT_ECHO_MS else None
    if _FLAIR.search(named):
        fluid = (inversion is None or slow) and (echo is None or echo >= _LONG_ECHO_MS)
        return "FLAIR" if fluid else None
    if _T2.search(named) or echo is None:
        return None
    if slow and echo >= _LONG_ECHO_MS:
        return "FLAIR"
    repetition = number(dataset, "RepetitionTime")
    short = repetition is not None and repetition <= _T1_REPETITION_MS
    spin, gradient = "SE" in kinds, "GR" in kinds
    inverted = "IR" in kinds and inversion is not None and 300 <= inversion < _FLUID_MS
    weighs = (spin and short) or inverted or (gradient and short and echo <= _T1_ECHO_MS / 3)
    return "T1" if echo <= _T1_ECHO_MS and weighs else None


def _contrast(named: str, dataset: Dataset) -> bool:
    """Whether contrast medium was given; the series' name before the entry, which may stay from series to series."""
    if _WITHOUT.search(named):
        return False
    if _WITH.search(named) or present(dataset, "ContrastBolusAgentSequence"):
        return True
    return text(dataset, "ContrastBolusAgent").upper().strip() not in _NO_AGENT
