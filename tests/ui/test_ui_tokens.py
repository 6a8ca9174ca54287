from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

from medimg_core.errors import BadRequest
from medimg_core.ui import routes, tokens
from medimg_core.ui.session import Workspace
from medimg_core.ui.tokens import Tokens

Get = Callable[..., httpx.Response]


@pytest.fixture
def get() -> Get:
    """Ask the app's own routes, behind a server that compresses what it may."""
    app = Starlette(routes=list(routes.routes()), middleware=[Middleware(GZipMiddleware, minimum_size=10)])

    async def ask(url: str, session: str) -> httpx.Response:
        headers = {routes.SESSION: session} if session else {}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://server") as client:
            return await client.get(url, headers=headers)

    return lambda url, session="": asyncio.run(ask(url, session))


@pytest.fixture
def mine() -> Iterator[Tokens]:
    owner = Tokens()
    yield owner
    owner.release()


def test_a_token_delivers_its_bytes_untouched(get: Get, mine: Tokens) -> None:
    content = bytes(range(256)) * 40
    answer = get(routes.url(mine.give("film", lambda _: content)), mine.session)
    assert answer.content == content
    assert answer.headers["content-encoding"] == "identity"
    assert "no-store" in answer.headers["cache-control"]
    assert answer.headers["content-length"] == str(len(content))


def test_tokens_are_long_random_and_say_nothing(mine: Tokens) -> None:
    first, second = mine.give("Doe^Jane", lambda _: b""), mine.give("Doe^John", lambda _: b"")
    assert first != second
    assert all(re.fullmatch(r"[\w-]{32}", token) for token in (first, second))


def test_the_same_key_keeps_its_token_and_two_owners_never_share_one(mine: Tokens) -> None:
    other = Tokens()
    try:
        assert mine.give("film", lambda _: b"1") == mine.give("film", lambda _: b"2")
        assert mine.give("film", lambda _: b"1") != other.give("film", lambda _: b"1")
    finally:
        other.release()


def test_released_and_guessed_tokens_answer_404_alike(get: Get, mine: Tokens) -> None:
    before = tokens.count()
    url = routes.url(mine.give("film", lambda _: b"pixels"))
    mine.release()
    gone, never = get(url, mine.session), get("/pixels/" + "A" * 32, mine.session)
    assert (gone.status_code, never.status_code) == (404, 404)
    assert gone.content == never.content == b""
    assert tokens.count() == before


def test_a_token_of_another_session_answers_404(get: Get, mine: Tokens, caplog: pytest.LogCaptureFixture) -> None:
    other = Tokens()
    url = routes.url(mine.give("film", lambda _: b"pixels"))
    assert get(url, mine.session).content == b"pixels"
    assert [get(url, told).status_code for told in ("", other.session, mine.session[:-1])] == [404, 404, 404]
    assert get(url, other.session).content == b""
    assert mine.session not in url + caplog.text + repr(tokens.find(url.rsplit("/", 1)[1]))


def test_the_demo_cases_of_a_session_open_with_its_secret() -> None:
    space, other = Workspace(), Workspace()
    assert space.demos.session == space.case.session != other.case.session


def test_the_query_reaches_the_maker_and_a_download_has_a_name(get: Get, mine: Tokens) -> None:
    def make(query: Mapping[str, str]) -> bytes:
        return query["opacity"].encode()

    answer = get(
        routes.url(mine.give("png", make, "image/png", "evidence-cam-0123.png")) + "?opacity=0.5", mine.session
    )
    assert answer.content == b"0.5"
    assert answer.headers["content-disposition"] == 'attachment; filename="evidence-cam-0123.png"'
    assert answer.headers["content-type"] == "image/png"


def test_failures_are_sentences_without_traces(get: Get, mine: Tokens, caplog: pytest.LogCaptureFixture) -> None:
    def asked_wrongly(_: Mapping[str, str]) -> bytes:
        raise BadRequest("A value is no number.", "Use the link on the page.")

    def broken(_: Mapping[str, str]) -> bytes:
        raise RuntimeError("Doe^Jane 1967")

    wrong = get(routes.url(mine.give("wrong", asked_wrongly)), mine.session)
    assert (wrong.status_code, wrong.text) == (422, "A value is no number. Use the link on the page.")
    failed = get(routes.url(mine.give("broken", broken)), mine.session)
    assert failed.status_code == 500
    reference = re.search(r"E-[0-9A-F]{4}-[0-9A-F]{4}", failed.text)
    assert reference
    assert reference[0] in caplog.text
    assert "RuntimeError" in caplog.text
    assert "Doe" not in failed.text + caplog.text


@pytest.mark.usefixtures("tiny_models")
def test_health_answers_for_intact_models(get: Get) -> None:
    answer = get("/health")
    assert answer.status_code == 200
    assert answer.json()["ok"] is True
    assert {m["name"] for m in answer.json()["models"]} == {"tiny_model", "tiny_baseline"}


def test_health_says_503_where_no_model_can_answer(get: Get, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIMG_MODELS", str(tmp_path))
    answer = get("/health")
    assert answer.status_code == 503
    assert answer.json()["ok"] is False
