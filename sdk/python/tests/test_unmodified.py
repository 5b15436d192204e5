"""Clients that know nothing of Deputy: what ships with `mcp` and FastMCP gets tokens and calls."""

import httpx2
import pytest
from fastmcp import Client as FastClient
from fastmcp.client.auth import ClientCredentialsOAuthProvider as FastProvider
from fastmcp.client.transports import StreamableHttpTransport
from mcp.client import Client
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client
from servers import TICKET

pytestmark = pytest.mark.anyio


class Memory:
    """The token storage that the SDK asks applications for."""

    tokens = None
    info = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.info

    async def set_client_info(self, info):
        self.info = info


async def test_the_provider_of_the_mcp_sdk_gets_a_token_and_calls_a_tool(stage, era, ran):
    url = stage.urls["tickets"]
    client_id, secret = stage.support
    provider = ClientCredentialsOAuthProvider(
        url, Memory(), client_id, secret, scope="tickets:read", issuer=stage.deputy.issuer
    )
    async with (
        httpx2.AsyncClient(auth=provider, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http), mode=era) as client,
    ):
        result = await client.call_tool("tickets.get", {"id": 4711})
    assert result.content[0].text == TICKET
    assert ran == [("tickets.get", 4711)]


async def test_the_provider_of_fastmcp_gets_a_token_and_calls_a_tool(stage, era, ran):
    url = stage.urls["tickets"]
    client_id, secret = stage.support
    provider = FastProvider(
        client_id=client_id,
        client_secret=secret,
        scopes="tickets:read",
        issuer=stage.deputy.issuer,
    )
    transport = StreamableHttpTransport(url, auth=provider)
    async with FastClient(transport, mode=era, timeout=60) as client:
        result = await client.call_tool("tickets.get", {"id": 4711})
    assert result.content[0].text == TICKET
    assert ran == [("tickets.get", 4711)]
