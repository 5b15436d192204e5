"""`TokenExchangeAuth` for `httpx`, the HTTP library of `mcp` 1.x and LangChain."""

import httpx

from deputy_mcp.exchange_auth import ExchangeAuth


class TokenExchangeAuth(ExchangeAuth, httpx.Auth):
    """The `auth=` of an `httpx.AsyncClient`, or of whatever takes one. See `ExchangeAuth`."""
