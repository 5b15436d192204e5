"""Agents: who they are, whose token they hold, and the tokens they exchange it for (RFC 8693).

A token is remembered for one subject token, target, scope and details until shortly before it
expires; several tasks that want the same one wait for one exchange. The memory is bounded and
never leaves the process.
"""

import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import anyio

from deputy_mcp.authority import Tools, entry
from deputy_mcp.errors import DeputyUnavailable, ExchangeRefused
from deputy_mcp.wire import DEFAULT_TIMEOUT_S, OK, Client, Key, Proofs, Reply, Wire

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105
HAND_OVER = "urn:ietf:params:oauth:token-type:jwt"
BEARER, DPOP = "Bearer", "DPoP"
# Tokens that are remembered; beyond it the one unused for longest is forgotten.
MAX_REMEMBERED = 1024
# A token is not used in its last seconds: it must outlive the request that carries it.
MARGIN_S = 10.0
# Answers of the token endpoint that mean "later", not "no".
_UNAVAILABLE = frozenset({408, 429})
_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Subject:
    """The token that says for whom an agent acts, and of which kind it is."""

    token: str = field(repr=False)
    kind: str

    @classmethod
    def access_token(cls, token: str) -> Self:
        """A user's access token from a trusted issuer, or a call token of Deputy's."""
        return cls(token, ACCESS_TOKEN)

    @classmethod
    def id_token(cls, token: str) -> Self:
        """A user's ID token from a trusted issuer."""
        return cls(token, ID_TOKEN)

    @classmethod
    def hand_over(cls, token: str) -> Self:
        """What another agent handed over to this one."""
        return cls(token, HAND_OVER)

    def key(self) -> str:
        """Names the token without being it."""
        return hashlib.sha256(self.token.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Want:
    """What a token is wanted for: one target, and a scope, or tools, or both.

    `onward` names tools at other servers that the owner of `resource` may call in turn.
    """

    resource: str
    scope: str | None = None
    tools: Tools | None = None
    onward: Mapping[str, Tools] | None = None

    def form(self) -> dict[str, str]:
        """The parameters of the request that say what is wanted."""
        details = [entry(self.resource, self.tools)] if self.tools is not None else []
        details += [entry(at, tools) for at, tools in (self.onward or {}).items()]
        form = {"resource": self.resource}
        if self.scope is not None:
            form["scope"] = self.scope
        if details:
            form["authorization_details"] = _text(details)
        return form


@dataclass(frozen=True, slots=True)
class Token:
    """A token for one server. `usable_until` is on the monotonic clock, margin taken off.

    `kind` goes before it in `Authorization`: `DPoP` if it is bound to the agent's key.
    """

    value: str = field(repr=False)
    scope: str
    usable_until: float
    kind: str = BEARER

    def is_usable(self) -> bool:
        """Whether it may still be put on a request."""
        return time.monotonic() < self.usable_until


@dataclass(frozen=True, slots=True)
class HandOver:
    """Authority passed on to another agent: send `token` to it and to nobody else."""

    token: str = field(repr=False)
    expires_in_s: int


class _Flight:
    """One exchange under way, and what came of it."""

    def __init__(self) -> None:
        self.landed = anyio.Event()
        self.token: Token | None = None
        self.error: Exception | None = None


class Agent:
    """One program that acts for people, as it is registered at Deputy.

    Make one and keep it: it holds the connections and the tokens. It belongs to one event loop.
    It proves itself with its secret, or with a `deputy_mcp.keys.PrivateKey`. With a
    `deputy_mcp.dpop.ProofKey` its tokens are bound to that key: whoever steals one cannot call a
    tool with it.
    """

    def __init__(
        self,
        issuer: str,
        client_id: str,
        secret_or_key: str | Key,
        *,
        dpop: Proofs | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        http_client: Client | None = None,
    ) -> None:
        self._dpop = dpop
        self._wire = Wire(
            issuer, client_id, secret_or_key, timeout_s=timeout_s, http_client=http_client
        )
        self._remembered: OrderedDict[str, Token] = OrderedDict()
        self._flights: dict[str, _Flight] = {}

    @property
    def dpop(self) -> Proofs | None:
        """What its tokens are bound to."""
        return self._dpop

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Forgets every token and closes the connections."""
        self._remembered.clear()
        await self._wire.aclose()

    async def token(self, subject: Subject, want: Want) -> Token:
        """A token for `want` on behalf of the subject: the one remembered, or a new one.

        Raises `ExchangeRefused` if Deputy says no, `DeputyUnavailable` if it says nothing.
        """
        key = _key(subject, want)
        while True:
            if (token := self._recall(key)) is not None:
                return token
            flight = self._flights.get(key)
            if flight is None:
                return await self._lead(key, subject, want)
            await flight.landed.wait()
            if flight.error is not None:
                raise flight.error
            if flight.token is not None:
                return flight.token

    def forget(self, subject: Subject, want: Want, token: Token) -> None:
        """Drops a token that a server turned away, unless a newer one is in its place."""
        key = _key(subject, want)
        if self._remembered.get(key) is token:
            del self._remembered[key]

    async def hand_over(
        self,
        agent: str,
        subject: Subject,
        tools: Mapping[str, Tools],
    ) -> HandOver:
        """Passes authority on to the agent with this URI: for each server, what it may call there.

        It is made anew each time: a hand-over is sent once.
        """
        details = [entry(location, named) for location, named in tools.items()]
        form = {"resource": agent, "authorization_details": _text(details)}
        body = await self._exchange(subject, form)
        return HandOver(_member(body, "access_token"), _life(body))

    async def _lead(self, key: str, subject: Subject, want: Want) -> Token:
        flight = self._flights[key] = _Flight()
        try:
            flight.token = await self._issue(subject, want)
        except (ExchangeRefused, DeputyUnavailable) as e:
            flight.error = e
            raise
        finally:
            # A cancelled leader leaves neither: one of those who wait leads next.
            del self._flights[key]
            flight.landed.set()
        self._remember(key, flight.token)
        return flight.token

    async def _issue(self, subject: Subject, want: Want) -> Token:
        begun = time.monotonic()
        body = await self._exchange(subject, want.form())
        kind = BEARER if self.dpop is None else DPOP
        if str(body.get("token_type", "")).lower() != kind.lower():
            hint = (
                "name a server" if self.dpop is None else "is the header `DPoP` dropped on the way?"
            )
            raise DeputyUnavailable(f"Deputy issued a token that is not `{kind}`: {hint}")
        scope = body.get("scope", "")
        life = _life(body)
        until = begun + life - min(MARGIN_S, life / 2)
        scope = scope if isinstance(scope, str) else ""
        return Token(_member(body, "access_token"), scope, until, kind)

    async def _exchange(self, subject: Subject, form: Mapping[str, str]) -> Mapping[str, Any]:
        own = {
            "grant_type": EXCHANGE,
            "subject_token": subject.token,
            "subject_token_type": subject.kind,
        }
        form = own | dict(form)
        if self.dpop is None:
            return _granted(await self._wire.post("token", form))
        reply = await self._proved(self.dpop, form)
        # RFC 9449 section 8: the first proof of a while lacks the nonce that the answer brings.
        if reply.body.get("error") == "use_dpop_nonce":
            reply = await self._proved(self.dpop, form)
        if reply.body.get("error") == "use_dpop_nonce":
            raise DeputyUnavailable("Deputy wants another nonce each time: do its clocks agree?")
        return _granted(reply)

    async def _proved(self, dpop: Proofs, form: Mapping[str, str]) -> Reply:
        url = self._wire.url("token")
        reply = await self._wire.post("token", form, dpop.proof("POST", url))
        dpop.observe(url, reply.nonce)
        return reply

    def _recall(self, key: str) -> Token | None:
        token = self._remembered.get(key)
        if token is None:
            return None
        if not token.is_usable():
            del self._remembered[key]
            return None
        self._remembered.move_to_end(key)
        return token

    def _remember(self, key: str, token: Token) -> None:
        self._remembered[key] = token
        while len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)


def _granted(reply: Reply) -> Mapping[str, Any]:
    if reply.status == OK:
        return reply.body
    error = reply.body.get("error")
    if not isinstance(error, str) or reply.status in _UNAVAILABLE or reply.status >= _SERVER_ERROR:
        raise DeputyUnavailable(f"Deputy answered {reply.status}: try again later")
    description, error_id = reply.body.get("error_description"), reply.body.get("error_id")
    raise ExchangeRefused(
        error,
        description if isinstance(description, str) else "no reason was given",
        error_id if isinstance(error_id, str) else None,
    )


def _member(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise DeputyUnavailable(f"Deputy's answer has no `{name}`")
    return value


def _life(body: Mapping[str, Any]) -> int:
    seconds = body.get("expires_in")
    if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds < 0:
        raise DeputyUnavailable("Deputy's answer has no `expires_in` in whole seconds")
    return seconds


def _key(subject: Subject, want: Want) -> str:
    return _text([subject.kind, subject.key(), want.form()])


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
