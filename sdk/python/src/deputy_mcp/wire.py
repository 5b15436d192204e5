"""The only place that speaks HTTP to Deputy: one form, one strict answer, all of it bounded.

Works with `httpx2` or `httpx`, whichever is installed; the two have one shape.
"""

import base64
import importlib
import importlib.util
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote_plus, urlsplit

import anyio

from deputy_mcp.errors import DeputyUnavailable

# The longest answer that is read. A call token is at most 4 KiB, a hand-over 16 KiB.
MAX_ANSWER_BYTES = 65_536
# Seconds for one whole question, connecting and reading included.
DEFAULT_TIMEOUT_S = 5.0
OK = 200
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Response(Protocol):
    """The part of a streamed response that is read."""

    @property
    def status_code(self) -> int:
        """The status of the answer."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Its headers, by names of any case."""

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The body, piece by piece."""


class Client(Protocol):
    """The part of `httpx2.AsyncClient` and `httpx.AsyncClient` that is used."""

    def stream(
        self,
        method: str,
        url: str,
        *,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AbstractAsyncContextManager[Any]:
        """Sends a request and opens its answer."""

    async def aclose(self) -> None:
        """Closes the connections."""


class Key(Protocol):
    """What proves a client in place of a secret, such as `deputy_mcp.keys.PrivateKey`."""

    def proof(self, client_id: str, issuer: str) -> Mapping[str, str]:
        """The parameters of one request that say who asks."""


class Proofs(Protocol):
    """What binds tokens to a key, such as `deputy_mcp.dpop.ProofKey`."""

    def proof(self, method: str, url: str, token: str | None = None) -> str:
        """The proof for one request."""

    def observe(self, url: str, nonce: str | None) -> bool:
        """Takes note of what an answer from there wants in the next proof; whether it can."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: its status, its body, one JSON object, and the nonce it brings."""

    status: int
    body: Mapping[str, Any]
    nonce: str | None = None


class Wire:
    """Deputy as one client sees it, over connections that stay open."""

    def __init__(
        self,
        issuer: str,
        client_id: str,
        secret_or_key: str | Key,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        http_client: Client | None = None,
    ) -> None:
        self.issuer = _checked(issuer)
        self.client_id = client_id
        self._timeout_s = timeout_s
        self._secret_or_key = secret_or_key
        self._client = http_client

    def __repr__(self) -> str:
        return f"Wire({self.issuer!r}, {self.client_id!r})"

    def url(self, endpoint: str) -> str:
        """Where an endpoint of the issuer is."""
        return f"{self.issuer}/{endpoint}"

    async def post(self, endpoint: str, form: Mapping[str, str], proof: str | None = None) -> Reply:
        """Posts `form`, and a proof of a key, to an endpoint of the issuer.

        Raises `DeputyUnavailable` if there is no answer in time, or none that is a JSON object of
        at most `MAX_ANSWER_BYTES`.
        """
        url = self.url(endpoint)
        try:
            with anyio.fail_after(self._timeout_s):
                return await self._send(url, form, proof)
        except TimeoutError as e:
            raise DeputyUnavailable(
                f"`{url}` did not answer within {self._timeout_s} s: is Deputy overloaded?"
            ) from e

    async def aclose(self) -> None:
        """Closes the connections; the next question opens them again."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _send(self, url: str, form: Mapping[str, str], proof: str | None) -> Reply:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if proof is not None:
            headers["DPoP"] = proof
        if isinstance(self._secret_or_key, str):
            headers["Authorization"] = _basic(self.client_id, self._secret_or_key)
        else:
            form = {**form, **self._secret_or_key.proof(self.client_id, self.issuer)}
        if self._client is None:
            self._client = _new_client(self._timeout_s)
        try:
            async with self._client.stream("POST", url, data=form, headers=headers) as response:
                body = _object(url, await _body(url, response))
                nonce = None if proof is None else response.headers.get("DPoP-Nonce")
                return Reply(response.status_code, body, nonce)
        except _transport_errors() as e:
            raise DeputyUnavailable(
                f"`{url}` cannot be reached ({type(e).__name__}): is Deputy running there?"
            ) from e


async def _body(url: str, response: Response) -> bytes:
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise DeputyUnavailable(f"`{url}` answered more than {MAX_ANSWER_BYTES} bytes")
    return bytes(body)


def _object(url: str, body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as e:
        raise DeputyUnavailable(f"`{url}` did not answer JSON: is that Deputy's issuer?") from e
    if not isinstance(value, dict):
        raise DeputyUnavailable(f"`{url}` did not answer a JSON object: is that Deputy's issuer?")
    return value


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is repeated")
    return members


def _basic(client_id: str, client_secret: str) -> str:
    """RFC 6749 section 2.3.1: both are form-encoded before they are joined."""
    pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _checked(issuer: str) -> str:
    parts = urlsplit(issuer)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ValueError(f"the issuer `{issuer}` must be an https URL (http only on loopback)")
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError("the issuer must be a URL without user, query and fragment")
    return issuer.rstrip("/")


def _libraries() -> list[Any]:
    names = [name for name in ("httpx2", "httpx") if importlib.util.find_spec(name) is not None]
    if not names:
        raise ImportError("install `deputy-mcp[httpx2]` or `deputy-mcp[httpx]`")
    return [importlib.import_module(name) for name in names]


def _new_client(timeout_s: float) -> Client:
    client: Client = _libraries()[0].AsyncClient(timeout=timeout_s, follow_redirects=False)
    return client


def _transport_errors() -> tuple[type[Exception], ...]:
    kinds = [kind for library in _libraries() for kind in (library.HTTPError, library.StreamError)]
    return (*kinds, OSError)
