"""`TokenExchangeAuth` for `httpx2`, the HTTP library of `mcp` 2.x and FastMCP 4."""

import httpx2

from deputy_mcp.exchange_auth import ExchangeAuth


class TokenExchangeAuth(ExchangeAuth, httpx2.Auth):
    """The `auth=` of an `httpx2.AsyncClient`, or of whatever takes one. See `ExchangeAuth`."""
