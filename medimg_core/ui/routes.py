"""The app's own routes: pixels and maps under unguessable tokens, and health."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from medimg_core import inference
from medimg_core.errors import MedImgError
from medimg_core.ui import tokens
from medimg_core.ui.faults import report

SESSION = "X-Medimg-Session"
"""The header that names the secret of the browser's session: a token alone, copied or guessed, opens nothing."""

# `identity` keeps the server's gzip away: noise of 12 bit does not shrink, and compressing costs ten transfers.
_HEADERS = {
    "Content-Encoding": "identity",
    "Cache-Control": "private, no-store",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def prefix() -> str:
    """The path before the app's routes, when a proxy serves it below a path of its own."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}" if base else ""


def url(token: str) -> str:
    """Where the browser fetches what a token stands for."""
    return f"{prefix()}/pixels/{token}"


def pixels(request: Request) -> Response:
    """Answer a token with its content; 404 where it is not alive or another session's, without saying which."""
    served = tokens.find(request.path_params["token"])
    if served is None or not served.belongs(request.headers.get(SESSION, "")):
        return Response(status_code=404, headers=_HEADERS)
    try:
        content = served.make(request.query_params)
    except MedImgError as error:
        return Response(str(error), 422, _HEADERS, "text/plain; charset=utf-8")
    except Exception as error:
        return Response(f"This picture could not be made. Reference {report(error)}.", 500, _HEADERS, "text/plain")
    headers = dict(_HEADERS)
    if served.file:
        headers["Content-Disposition"] = f'attachment; filename="{served.file}"'
    return Response(content, 200, headers, served.media_type)


def health(_: Request) -> JSONResponse:
    """Whether the models' files are intact and which engine runs them; 503 when a model cannot be used."""
    state = inference.health()
    return JSONResponse(_plain(state), 200 if state.ok else 503, {"Cache-Control": "no-store"})


def _plain(state: inference.Health) -> dict[str, Any]:
    return {
        "ok": state.ok,
        "engine": state.engine,
        "gpu": state.gpu,
        "tensorflow": state.tensorflow,
        "versions": dict(state.versions),
        "models": [{"name": m.name, "version": m.version, "hash": m.hash, "fault": m.fault} for m in state.models],
        "loaded": list(state.loaded),
        "loaded_bytes": state.loaded_bytes,
    }


def routes() -> Sequence[BaseRoute]:
    """All routes of ours. Plain functions: Starlette runs them in threads, beside the event loop."""
    return [
        Route(f"{prefix()}/pixels/{{token:str}}", pixels, methods=["GET"]),
        Route(f"{prefix()}/health", health, methods=["GET"]),
    ]
