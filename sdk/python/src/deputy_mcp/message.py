"""One JSON-RPC message as it came over HTTP: what cannot be read strictly is not passed on."""

import json
from dataclasses import dataclass
from typing import Any

from deputy_mcp.deputy import Call

TOOLS_CALL = "tools/call"
# What every MCP client does before and between calls. None of it reads or changes what the server
# guards; `resources/read`, `prompts/get` and `completion/complete` do, and Deputy decides on tools
# only, so they are closed unless the application opens them.
ALWAYS_OPEN = frozenset(
    {
        "initialize",
        "logging/setLevel",
        "ping",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
        "server/discover",
        "tools/list",
    }
)
NOTIFICATIONS = "notifications/"


class Unreadable(ValueError):
    """The body is not one JSON-RPC message."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message: its id if it wants an answer, its method if it is no answer, its call if any."""

    id: str | int | None
    method: str | None
    call: Call | None = None

    def is_open(self, opened: frozenset[str]) -> bool:
        """Whether everybody with a live token may send it, apart from calls."""
        method = self.method
        if method is None or method.startswith(NOTIFICATIONS):
            return True
        return method in ALWAYS_OPEN or method in opened


# A request without a body.
NOTHING = Message(None, None)


def read(body: bytes) -> Message:
    """Reads a body. Raises `Unreadable` with what is wrong."""
    try:
        value = json.loads(body, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as e:
        raise Unreadable("the body is not strict JSON") from e
    if not isinstance(value, dict) or value.get("jsonrpc") != "2.0":
        raise Unreadable("the body is not one JSON-RPC 2.0 message (batches are not accepted)")
    method, identity = value.get("method"), value.get("id")
    if not isinstance(method, str | None) or not _is_id(identity):
        raise Unreadable("the message has no usable `method` and `id`")
    if method != TOOLS_CALL:
        return Message(identity, method)
    if identity is None:
        raise Unreadable("a call needs an `id`")
    return Message(identity, method, _call(value.get("params")))


def _call(params: Any) -> Call:
    params = params if isinstance(params, dict) else {}
    tool, arguments = params.get("name"), params.get("arguments")
    if not isinstance(tool, str) or not isinstance(arguments, dict | None):
        raise Unreadable("a call needs a `name`, and `arguments` that are an object")
    return Call.of(tool, arguments)


def _is_id(value: Any) -> bool:
    return value is None or (isinstance(value, str | int) and not isinstance(value, bool))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Unreadable("a member is repeated")
    return members


def _no_constant(name: str) -> Any:
    raise Unreadable(f"`{name}` is not JSON")
