"""The last check before a tool runs: is this the very call that Deputy permitted?

What the gate asked about is what came over the wire; what runs is what arrived here. If something
in between changed the call, or ran it a second time, the earlier answer does not count.
"""

import functools
import json
from collections.abc import Mapping, MutableMapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator

from deputy_mcp.denial import Denial
from deputy_mcp.deputy import Call, Deputy
from deputy_mcp.errors import DeputyUnavailable
from deputy_mcp.gate import TICKET, Ticket

# Compiled schemas that are kept.
_MAX_SCHEMAS = 1024

NO_TOKEN = Denial("denied: no bearer token arrived with this call; serve the tools over HTTP")
CHANGED = Denial(
    "denied: the call was changed after Deputy decided about it; "
    "let nothing between the gate and the tool rewrite names or arguments"
)
UNSAYABLE = Denial("denied: the arguments cannot be written as JSON")


async def last_check(
    deputy: Deputy,
    request: MutableMapping[str, Any] | None,
    token: str | None,
    name: str,
    arguments: Mapping[str, Any] | None,
) -> Denial | None:
    """None if the call may run now, once. `request` is the ASGI scope of the request it came in."""
    if request is None or token is None:
        return NO_TOKEN
    try:
        call = Call.of(name, arguments)
    except (TypeError, ValueError, RecursionError):
        return UNSAYABLE
    ticket = request.get(TICKET)
    if not isinstance(ticket, Ticket) or ticket.used or ticket.deputy is not deputy:
        return await _ask(deputy, token, call)
    if ticket.call != call or ticket.token != token:
        return CHANGED
    # One answer, one execution: the next one is asked about anew.
    ticket.used = True
    return None if ticket.answer.permits() else CHANGED


async def _ask(deputy: Deputy, token: str, call: Call) -> Denial | None:
    try:
        answer = await deputy.decide(token, call)
    except DeputyUnavailable as e:
        return Denial.undecided(e)
    if answer.permits():
        return None
    if answer.decision is None:
        return Denial("denied: the token is not valid for this server, has expired or was revoked")
    return Denial.of(answer.decision)


def misfit(schema: Mapping[str, Any] | None, arguments: Mapping[str, Any] | None) -> Denial | None:
    """None if the arguments are what the tool's schema says: then no framework converts them.

    Frameworks read `"5"` as 5 and `"[1]"` as a list. Deputy decided about the text; the tool would
    get something else.
    """
    if schema is None:
        return Denial("denied: there is no such tool here")
    arguments = arguments or {}
    error = next(iter(_validator(_text(schema)).iter_errors(arguments)), None)
    if error is not None:
        at = "/".join(str(step) for step in error.absolute_path)
        return Denial(f"denied: `/{at}` is not what the tool's schema says: {error.message[:200]}")
    properties = schema.get("properties", {})
    for name, value in arguments.items():
        if isinstance(value, str) and _is_reread(properties.get(name, {}), value):
            return Denial(f"denied: `/{name}` is JSON in a text; send it as JSON")
    return None


def _is_reread(schema: Any, value: str) -> bool:
    if isinstance(schema, dict) and schema.get("type") == "string":
        return False
    try:
        read = json.loads(value)
    except (ValueError, RecursionError):
        return False
    return not isinstance(read, str | int | float)


@functools.lru_cache(maxsize=_MAX_SCHEMAS)
def _validator(schema: str) -> Validator:
    return Draft202012Validator(json.loads(schema))


def _text(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema, sort_keys=True, default=str)
