"""Authority as it goes over the wire: RFC 9396 entries of type `mcp_tool_call`.

Any other constraint that Deputy knows can be written as the JSON object it is; these are the ones
an agent needs most days.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

Json: TypeAlias = Any
Constraint: TypeAlias = Mapping[str, Json]
# A tool's name, and for each argument what it is limited to; an empty mapping limits nothing.
Tools: TypeAlias = Mapping[str, Mapping[str, Constraint]]


def exact(value: Json) -> Constraint:
    """The argument is this value. Numbers compare by value."""
    return {"constraint_type": "exact", "value": value}


def one_of(*values: Json) -> Constraint:
    """The argument is one of these values."""
    return {"constraint_type": "one_of", "values": list(values)}


def anything() -> Constraint:
    """The argument must be there and may be anything."""
    return {"constraint_type": "wildcard"}


def entry(location: str, tools: Tools) -> dict[str, Json]:
    """The authority to call `tools` at `location`, and nothing else."""
    named = {tool: dict(arguments) for tool, arguments in tools.items()}
    return {"type": "mcp_tool_call", "locations": [location], "tools": named}
