"""Deputy as a server asks it: is this token good here, and may this very call be made?

Every answer is for one question and is never kept. Whatever is not clearly a yes is a no.
"""

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from deputy_mcp.errors import DeputyUnavailable
from deputy_mcp.wire import DEFAULT_TIMEOUT_S, OK, Client, Key, Reply, Wire

# Bytes of chance in a `call_id`.
CALL_ID_BYTES = 16
# The status of a request whose token, or proof, is not good.
UNAUTHORIZED = 401
# The longest reason or message that is passed on to a client.
MAX_TEXT = 1024
# RFC 6749 section 3.3: what a scope may be made of, and so what may stand in a challenge.
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+(?: [\x21\x23-\x5B\x5D-\x7E]+)*")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool: its name, and the JSON text of the arguments it will receive."""

    tool: str
    arguments: str

    @classmethod
    def of(cls, tool: str, arguments: Mapping[str, Any] | None) -> Self:
        """The call with these arguments. Raises `ValueError` for what JSON cannot say."""
        text = json.dumps(arguments or {}, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return cls(tool, text)


@dataclass(frozen=True, slots=True)
class Decision:
    """What Deputy decided about one call, and why."""

    allow: bool
    reason: str
    message: str
    id: str
    members: Mapping[str, Any] = field(repr=False)

    def scope_that_cures(self) -> str | None:
        """The exact scope to step up to, where Deputy says that stepping up would help."""
        scope = self.members.get("required_scope")
        return scope if isinstance(scope, str) and _SCOPE.fullmatch(scope) else None

    def challenge(self) -> str | None:
        """What a 401 says, where Deputy says that a 401 is the answer."""
        answer, challenge = self.members.get("mcp"), self.members.get("challenge")
        is_401 = isinstance(answer, dict) and answer.get("status") == UNAUTHORIZED
        usable = isinstance(challenge, str) and challenge.isascii() and challenge.isprintable()
        return challenge if is_401 and usable else None


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: whether the token is live here, who acts for whom, and the decision if asked.

    `claims` is the whole answer of RFC 7662; it is empty if the call was denied.
    """

    live: bool
    claims: Mapping[str, Any]
    decision: Decision | None = None

    def permits(self) -> bool:
        """Whether the call that was asked about may run."""
        return self.live and self.decision is not None and self.decision.allow


class Deputy:
    """Deputy, for the one resource that this server is.

    Make one and keep it: it holds the connections. It belongs to one event loop. The server
    proves itself with its secret, or with a `deputy_mcp.keys.PrivateKey`.
    """

    def __init__(
        self,
        issuer: str,
        client_id: str,
        secret_or_key: str | Key,
        *,
        resource: str,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        http_client: Client | None = None,
    ) -> None:
        self.resource = resource
        self._wire = Wire(
            issuer, client_id, secret_or_key, timeout_s=timeout_s, http_client=http_client
        )

    @property
    def issuer(self) -> str:
        """The issuer whose tokens are accepted."""
        return self._wire.issuer

    async def introspect(self, token: str) -> Answer:
        """Whether the token is live here at all; no call may be made on this answer."""
        return self._understood(await self._ask({"token": token}), None)

    async def decide(self, token: str, call: Call, proof: str | None = None) -> Answer:
        """Asks about one execution of one call. The `call_id` is chance, and ours alone.

        `proof` is the DPoP proof that came with the request; Deputy checks it for this resource.
        """
        form = {
            "token": token,
            "tool": call.tool,
            "arguments": call.arguments,
            "call_id": secrets.token_urlsafe(CALL_ID_BYTES),
        }
        if proof is not None:
            # What clients see as our address is what we are registered as, whatever `Host` says.
            form |= {"dpop_proof": proof, "htm": "POST", "htu": self.resource}
        return self._understood(await self._ask(form), call)

    async def aclose(self) -> None:
        """Closes the connections; the next question opens them again."""
        await self._wire.aclose()

    async def _ask(self, form: dict[str, str]) -> Reply:
        reply = await self._wire.post("introspect", form | {"resource": self.resource})
        if reply.status == OK:
            return reply
        if reply.body.get("error") == "invalid_client":
            raise DeputyUnavailable(
                "Deputy does not know this server: check its id, and its secret or registered key"
            )
        raise DeputyUnavailable(f"Deputy answered {reply.status} to a question: see its log")

    def _understood(self, reply: Reply, call: Call | None) -> Answer:
        active, decision = reply.body.get("active"), reply.body.get("decision")
        if not isinstance(active, bool):
            raise DeputyUnavailable("Deputy's answer has no `active` that is true or false")
        if decision is None:
            if active and call is not None:
                raise DeputyUnavailable("Deputy's answer has no decision about the call")
            return Answer(live=active, claims=self._for_us(reply.body) if active else {})
        if call is None:
            raise DeputyUnavailable("Deputy's answer has a decision that nobody asked for")
        decided = _decision(decision)
        if decided.allow is not active or decision.get("tool", call.tool) != call.tool:
            raise DeputyUnavailable("Deputy's answer contradicts itself")
        claims = self._for_us(reply.body) if active else {}
        return Answer(live=True, claims=claims, decision=decided)

    def _for_us(self, claims: Mapping[str, Any]) -> Mapping[str, Any]:
        """A yes must be about a token of our issuer for our resource, and say whose it is."""
        wanted: dict[str, type] = {"sub": str, "client_id": str, "scope": str, "exp": int}
        for name, kind in wanted.items():
            if not isinstance(claims.get(name), kind):
                raise DeputyUnavailable(f"Deputy's answer has no `{name}`")
        if claims.get("aud") != self.resource or claims.get("iss") != self.issuer:
            raise DeputyUnavailable("Deputy's answer is about a token for another server")
        return claims


def _decision(value: Any) -> Decision:
    if not isinstance(value, dict) or not isinstance(value.get("allow"), bool):
        raise DeputyUnavailable("Deputy's decision has no `allow` that is true or false")
    reason = value.get("reason")
    if not isinstance(reason, str) or value["allow"] is not (reason == "permitted"):
        raise DeputyUnavailable("Deputy's decision has no reason that goes with it")
    return Decision(
        allow=value["allow"],
        reason=reason[:MAX_TEXT],
        message=str(value.get("message") or reason)[:MAX_TEXT],
        id=str(value.get("id") or "")[:MAX_TEXT],
        members=value,
    )
