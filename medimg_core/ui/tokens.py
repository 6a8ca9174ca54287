"""What a browser may fetch: a process-wide table of unguessable tokens, and the part of it that one session owns.

A token stands for one content and says nothing about it. It dies with the case or the session that made it, and answers
only to a request that names that session's secret, which never stands in a URL.
Streamlit's media manager is not used for pixels: above 1 MiB it tells files apart by samples, and mixed up two images.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field

Make = Callable[[Mapping[str, str]], bytes]
"""Makes the bytes when they are asked for; gets the query of the request. May raise `MedImgError`."""


@dataclass(frozen=True, slots=True)
class Served:
    """One thing behind a token: how to make it, what it is, and the secret of the session that it belongs to."""

    make: Make
    media_type: str = "application/octet-stream"
    file: str = ""
    session: str = field(default="", repr=False)

    def belongs(self, session: str) -> bool:
        """Whether a request that names this secret may have it."""
        return secrets.compare_digest(self.session.encode(), session.encode())


_served: dict[str, Served] = {}
_lock = threading.Lock()


def find(token: str) -> Served | None:
    """What a token stands for; None when it is unknown, expired or was never given out."""
    with _lock:
        return _served.get(token)


def count() -> int:
    """How many tokens are alive in the process."""
    with _lock:
        return len(_served)


class Tokens:
    """The tokens of one owner (a case, the strip of demo cases). The same key always gives the same token.

    `session` is the secret that a request must name; a random one unless given.
    """

    def __init__(self, session: str = "") -> None:
        self.session = session or secrets.token_urlsafe(24)
        self._tokens: dict[Hashable, str] = {}

    def give(self, key: Hashable, make: Make, media_type: str = "application/octet-stream", file: str = "") -> str:
        """A token for a content.

        Args:
            key: identity of the content within this owner (image digest, parameters).
            make: called at every request; what it needs stays alive as long as the token.
            media_type: of the answer.
            file: name offered for a download; without anything that identifies a patient.
        """
        with _lock:
            if key not in self._tokens:
                token = secrets.token_urlsafe(24)
                self._tokens[key] = token
                _served[token] = Served(make, media_type, file, self.session)
            return self._tokens[key]

    def release(self) -> None:
        """Forget everything that this owner gave out; the tokens answer 404 from now on."""
        with _lock:
            for token in self._tokens.values():
                _served.pop(token, None)
            self._tokens.clear()
