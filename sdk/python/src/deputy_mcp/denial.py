"""What a "no" looks like to an MCP client.

A dead token is a 401, and clients fetch a new one; a key that was not proved is a 401 too. A scope
that would help is a 403 that names it, and clients step up. Everything else is a tool result that
says why: clients drop the text of a 403, and a 401 would send them for a new token that is just as
powerless.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from deputy_mcp.deputy import Decision
from deputy_mcp.errors import DeputyUnavailable

# Where a denied result carries the decision for programs to read.
DECISION: Final = "deputy/decision"
# Seconds after which a client may try again when Deputy cannot be asked.
RETRY_AFTER_S: Final = 5
# The members of a decision that a client may see.
_SHOWN = ("allow", "reason", "tool", "argument", "message", "remediation", "id")


@dataclass(frozen=True, slots=True)
class Denial:
    """Why a call did not run: a sentence, and the decision if there was one."""

    text: str
    decision: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, decision: Decision) -> "Denial":
        """The denial that Deputy decided."""
        tool = decision.members.get("tool")
        subject = f"`{tool}`: " if isinstance(tool, str) else ""
        text = f"denied: {subject}{decision.message} ({decision.reason}, decision {decision.id})"
        shown = {name: decision.members[name] for name in _SHOWN if name in decision.members}
        return cls(text, shown)

    @classmethod
    def undecided(cls, error: DeputyUnavailable) -> "Denial":
        """The denial for want of an answer."""
        return cls(f"not done, because nobody could decide whether it may be: {error}")

    def meta(self) -> dict[str, Any] | None:
        """The `_meta` of the tool result."""
        return {DECISION: dict(self.decision)} if self.decision is not None else None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A whole HTTP answer that is not the application's."""

    status: int
    body: bytes
    challenge: str | None = None
    retry_after_s: int | None = None

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Its headers, as ASGI wants them. Nobody may keep such an answer."""
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(self.body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        if self.challenge is not None:
            headers.append((b"www-authenticate", self.challenge.encode("ascii", "replace")))
        if self.retry_after_s is not None:
            headers.append((b"retry-after", str(self.retry_after_s).encode()))
        return headers


def no_token(metadata: str, scope: str) -> Refusal:
    """401 without an error code: the request did not try (RFC 6750 section 3.1)."""
    challenge = f'Bearer resource_metadata="{metadata}"{_scope(scope)}'
    return Refusal(401, as_json({"error": "unauthorized"}), challenge)


def dead_token(metadata: str, scope: str) -> Refusal:
    """401: the token is not, or no longer, good here."""
    text = "the token is not valid for this server, has expired or was revoked"
    challenge = (
        f'Bearer error="invalid_token", error_description="{text}", resource_metadata="{metadata}"'
    )
    challenge += _scope(scope)
    return Refusal(401, as_json({"error": "invalid_token", "error_description": text}), challenge)


def challenged(challenge: str, error: str) -> Refusal:
    """401 with a challenge that says what is missing: a proof of the token's key, for one."""
    return Refusal(401, as_json({"error": error}), challenge)


def more_scope(scope: str, metadata: str) -> Refusal:
    """403 with the exact scope that cures it (RFC 6750 section 3)."""
    challenge = (
        f'Bearer error="insufficient_scope", scope="{scope}", resource_metadata="{metadata}"'
    )
    return Refusal(403, as_json({"error": "insufficient_scope", "scope": scope}), challenge)


def no_answer(error: DeputyUnavailable) -> Refusal:
    """503: Deputy could not be asked. Never a 401, or every client would fetch new tokens."""
    body = as_json({"error": "temporarily_unavailable", "error_description": str(error)})
    return Refusal(503, body, retry_after_s=RETRY_AFTER_S)


def bad_request(text: str) -> Refusal:
    """The request cannot be read, so it cannot be decided."""
    error = {"code": -32600, "message": text}
    return Refusal(400, as_json({"jsonrpc": "2.0", "id": None, "error": error}))


def closed_method(identity: str | int | None, method: str) -> Refusal:
    """A JSON-RPC error for a method that nobody decides about."""
    text = (
        f"`{method}` is closed here: Deputy decides on tools; the server's developer can open it "
        "to every holder of a token with `open_methods`"
    )
    error = {"code": -32601, "message": text}
    return Refusal(200, as_json({"jsonrpc": "2.0", "id": identity, "error": error}))


def denied_call(identity: str | int | None, denial: Denial) -> Refusal:
    """The tool result of a call that did not run."""
    result: dict[str, Any] = {
        "content": [{"type": "text", "text": denial.text}],
        "isError": True,
        "resultType": "complete",
    }
    if (meta := denial.meta()) is not None:
        result["_meta"] = meta
    return Refusal(200, as_json({"jsonrpc": "2.0", "id": identity, "result": result}))


def _scope(scope: str) -> str:
    """What a client without a better idea should ask for (RFC 6750 section 3)."""
    return f', scope="{scope}"' if scope else ""


def as_json(value: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()
