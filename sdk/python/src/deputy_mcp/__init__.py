"""Deputy for Python: tokens for agents, decisions for MCP servers.

An agent holds an `Agent` and puts a `TokenExchangeAuth` (`deputy_mcp.httpx2` or
`deputy_mcp.httpx`) on its HTTP client. A server holds a `Deputy` and puts the gate and the last
check of its framework in front of its tools (`deputy_mcp.fastmcp`, `deputy_mcp.sdk`,
`deputy_mcp.gate`). Nothing here decides anything: Deputy does, once for every call.
"""

from deputy_mcp.agent import Agent, HandOver, Subject, Token, Want
from deputy_mcp.authority import anything, entry, exact, one_of
from deputy_mcp.deputy import Answer, Call, Decision, Deputy
from deputy_mcp.errors import DeputyError, DeputyUnavailable, ExchangeRefused, WrongServer

__all__ = [
    "Agent",
    "Answer",
    "Call",
    "Decision",
    "Deputy",
    "DeputyError",
    "DeputyUnavailable",
    "ExchangeRefused",
    "HandOver",
    "Subject",
    "Token",
    "Want",
    "WrongServer",
    "anything",
    "entry",
    "exact",
    "one_of",
]
