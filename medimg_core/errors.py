"""What can go wrong, as the user reads it: one sentence for the cause, one for the next step."""

from __future__ import annotations


class MedImgError(Exception):
    """A failure that the user can understand and act on.

    Args:
        cause: one plain sentence that says what is wrong, without a file name or any identifying text.
        remedy: one plain sentence that says what to do next.
    """

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"{cause} {remedy}")
        self.cause = cause
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[MedImgError], tuple[str, str]]:
        # The default would call cls(message) when an error crosses the process boundary of the decoding worker.
        return type(self), (self.cause, self.remedy)


class UnreadableImage(MedImgError):
    """The bytes are an image, but damaged or inconsistent."""


class NotAnImage(MedImgError):
    """The bytes are readable, but are no picture: a report, a structure set, a text, a program."""


class OutlinesOnly(NotAnImage):
    """A DICOM segmentation: regions that belong to the image of another file."""


class TooLarge(MedImgError):
    """The size that the header claims, or the size after inflation, is above the limit."""


class UnsupportedEncoding(MedImgError):
    """No decoder for this encoding is installed."""


class ModelUnavailable(MedImgError):
    """The model folder is missing, incomplete or changed since its hashes were written."""


class BadTable(MedImgError):
    """A manifest or a predictions table lacks a column or holds a value that cannot be used."""


class BadRequest(MedImgError):
    """An unknown model, method, class or option; the message lists the near names."""


class Cancelled(MedImgError):
    """The user stopped a long piece of work; what was done is kept."""

    def __init__(self, cause: str = "Stopped as asked.", remedy: str = "What was finished before is kept.") -> None:
        super().__init__(cause, remedy)
