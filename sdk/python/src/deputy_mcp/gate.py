"""The gate before an MCP server: one ASGI layer that asks Deputy once for every request.

A `tools/call` is asked about with its tool and arguments, everything else with the token alone. The
answer is put on the request (`Ticket`), where the token verifier and the last check before the tool
find it, so neither has to ask again. Works before any ASGI MCP server, in both protocol eras.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import anyio

from deputy_mcp import denial, message
from deputy_mcp.deputy import Answer, Call, Decision, Deputy
from deputy_mcp.errors import DeputyUnavailable

Scope: TypeAlias = MutableMapping[str, Any]
Event: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
Send: TypeAlias = Callable[[Event], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

# The largest message that is read before it is decided.
MAX_BODY_BYTES = 4 * 1024 * 1024
# Seconds for a message to arrive.
BODY_TIMEOUT_S = 30.0
# The longest token that is passed on: Deputy's call tokens are at most 4 KiB. Proofs likewise.
MAX_TOKEN_BYTES = 8 * 1024
# Where the ticket is on an ASGI scope.
TICKET = "deputy_mcp.ticket"

# For a token that is bound to a key and comes without a proof, or the reverse.
_UNPROVED = 'DPoP error="invalid_dpop_proof", error_description="send a proof of the token\'s key"'

# RFC 6750 section 2.1.
_CREDENTIALS = frozenset({b"authorization", b"dpop"})
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")

_log = logging.getLogger("deputy_mcp")


@dataclass(slots=True)
class Ticket:
    """What was asked for one HTTP request, and what Deputy said. Good for one execution."""

    deputy: Deputy
    token: str = field(repr=False)
    call: Call | None
    answer: Answer
    used: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """The token that a request shows, and the DPoP proof that came with it."""

    token: str = field(repr=False)
    proof: str | None = field(repr=False)


# The ticket of the request that is being served, for the token verifier, which sees no request.
current: ContextVar[Ticket | None] = ContextVar("deputy_mcp_ticket", default=None)


class DeputyGate:
    """Closed: without a live token for this server nothing passes but what is named open.

    `open_paths` need no token. `open_methods` are JSON-RPC methods beside tools that everybody with
    a live token may use (`resources/read`, `prompts/get`, …). `scopes` is what a client without a
    token should ask for: clients that know nothing of Deputy ask for that and nothing else.
    """

    def __init__(
        self,
        app: App,
        deputy: Deputy,
        *,
        open_paths: Iterable[str] = (),
        open_methods: Iterable[str] = (),
        scopes: Iterable[str] = (),
    ) -> None:
        self._app = app
        self._deputy = deputy
        self._open_paths = frozenset(open_paths)
        self._open_methods = frozenset(open_methods)
        self._scope = " ".join(scopes)
        self._metadata = metadata_url(deputy.resource)
        self._metadata_path = urlsplit(self._metadata).path
        self._document = metadata_document(deputy, self._scope)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
        if scope["type"] == "lifespan" or scope.get("path") in self._open_paths:
            await self._app(scope, receive, send)
        elif scope["type"] != "http":
            raise RuntimeError("a gated MCP server speaks HTTP only")
        elif scope["path"] == self._metadata_path and scope["method"] == "GET":
            await _answer(send, denial.Refusal(200, self._document))
        else:
            await self._guard(scope, receive, send)

    async def _guard(self, scope: Scope, receive: Receive, send: Send) -> None:
        shown = presented(scope)
        if shown is None:
            await _answer(send, denial.no_token(self._metadata, self._scope))
            return
        try:
            body = await _read(scope, receive)
            read = message.read(body) if body is not None else message.NOTHING
        except ValueError as e:
            await _answer(send, denial.bad_request(str(e)))
            return
        asked = await self._ask(shown, read)
        if isinstance(asked, denial.Refusal):
            await _answer(send, asked)
        else:
            await self._pass(_as_bearer(scope, shown), _replay(body, receive), send, asked)

    async def _ask(self, shown: Shown, read: message.Message) -> denial.Refusal | Ticket:
        try:
            if read.call is None:
                answer = await self._deputy.introspect(shown.token)
            else:
                answer = await self._deputy.decide(shown.token, read.call, shown.proof)
        except DeputyUnavailable as e:
            _log.error("deputy_mcp: %s", e)
            return self._unanswered(read, e)
        refusal = self._refusal(read, answer) or _unproved(shown, answer)
        return refusal or Ticket(self._deputy, shown.token, read.call, answer)

    def _unanswered(self, read: message.Message, error: DeputyUnavailable) -> denial.Refusal:
        if read.call is None:
            return denial.no_answer(error)
        return denial.denied_call(read.id, denial.Denial.undecided(error))

    def _refusal(self, read: message.Message, answer: Answer) -> denial.Refusal | None:
        if not answer.live:
            return denial.dead_token(self._metadata, self._scope)
        if read.call is None:
            opened = read.is_open(self._open_methods)
            return None if opened else denial.closed_method(read.id, read.method or "")
        if answer.permits():
            return None
        return self._denied(read, answer.decision)

    def _denied(self, read: message.Message, decision: Decision | None) -> denial.Refusal:
        if decision is None:
            return denial.dead_token(self._metadata, self._scope)
        if (scope := decision.scope_that_cures()) is not None:
            return denial.more_scope(scope, self._metadata)
        if (challenge := decision.challenge()) is not None:
            return denial.challenged(challenge, decision.reason)
        return denial.denied_call(read.id, denial.Denial.of(decision))

    async def _pass(self, scope: Scope, receive: Receive, send: Send, ticket: Ticket) -> None:
        scope = {**scope, TICKET: ticket}
        if "user" not in scope and (principal := _principal(ticket)) is not None:
            scope |= principal
        held = current.set(ticket)
        try:
            await self._app(scope, receive, send)
        finally:
            current.reset(held)


def presented(scope: Scope) -> Shown | None:
    """The one token of a request, under `Bearer`, or under `DPoP` with one proof; or nothing."""
    value = _only(scope, b"authorization")
    scheme, _, token = (value or "").partition(" ")
    if not _TOKEN.fullmatch(token):
        return None
    if scheme.lower() == "bearer":
        return Shown(token, None)
    proof = _only(scope, b"dpop")
    return Shown(token, proof) if scheme.lower() == "dpop" and proof else None


def _only(scope: Scope, name: bytes) -> str | None:
    """The value of a header that is there once, in a sane size."""
    values = [value for header, value in scope["headers"] if header.lower() == name]
    return (
        values[0].decode("latin-1")
        if len(values) == 1 and len(values[0]) <= MAX_TOKEN_BYTES
        else None
    )


def _unproved(shown: Shown, answer: Answer) -> denial.Refusal | None:
    """A bound token is no bearer token, nor the reverse, whoever checks the proof."""
    is_bound = answer.claims.get("token_type") == "DPoP"
    if is_bound is (shown.proof is not None):
        return None
    return denial.challenged(_UNPROVED, "invalid_dpop_proof")


def _as_bearer(scope: Scope, shown: Shown) -> Scope:
    """The request as the server behind reads it: the proof was looked at here."""
    if shown.proof is None:
        return scope
    others = [(name, value) for name, value in scope["headers"] if name.lower() not in _CREDENTIALS]
    header = (b"authorization", b"Bearer " + shown.token.encode())
    return {**scope, "headers": [*others, header]}


def metadata_url(resource: str) -> str:
    """Where a resource's metadata is (RFC 9728 section 3.1)."""
    parts = urlsplit(resource)
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{parts.netloc}/.well-known/oauth-protected-resource{path}"


def metadata_document(deputy: Deputy, scope: str) -> bytes:
    """The metadata of this server (RFC 9728 section 2)."""
    document: dict[str, Any] = {
        "resource": deputy.resource,
        "authorization_servers": [deputy.issuer],
        "bearer_methods_supported": ["header"],
    }
    if scope:
        document["scopes_supported"] = scope.split()
    return denial.as_json(document)


def _principal(ticket: Ticket) -> dict[str, Any] | None:
    """What the `mcp` SDK binds its sessions to, so that one agent cannot continue another's."""
    try:
        from starlette.authentication import AuthCredentials

        from deputy_mcp.mcp import access_token, authenticated
    except ImportError:
        return None
    token = access_token(ticket.token, ticket.answer)
    return {"auth": AuthCredentials(token.scopes), "user": authenticated(token)}


async def _read(scope: Scope, receive: Receive) -> bytes | None:
    """The body of a message, bounded in size and time; None for a request that carries none."""
    if scope["method"] in {"GET", "DELETE"}:
        return None
    try:
        with anyio.fail_after(BODY_TIMEOUT_S):
            return await _whole(receive)
    except TimeoutError as e:
        raise message.Unreadable("the message did not arrive in time") from e


async def _whole(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] != "http.request":
            raise message.Unreadable("the client went away before its message arrived")
        body += event.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise message.Unreadable(f"the message is larger than {MAX_BODY_BYTES} bytes")
        if not event.get("more_body", False):
            return bytes(body)


def _replay(body: bytes | None, receive: Receive) -> Receive:
    """Gives a body that was read once more, then whatever the connection says."""
    if body is None:
        return receive
    waiting: list[Event] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Event:
        return waiting.pop() if waiting else await receive()

    return again


async def _answer(send: Send, refusal: denial.Refusal) -> None:
    start = {
        "type": "http.response.start",
        "status": refusal.status,
        "headers": refusal.headers(),
    }
    await send(start)
    await send({"type": "http.response.body", "body": refusal.body})
