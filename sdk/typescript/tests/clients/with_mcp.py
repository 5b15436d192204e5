"""A client on the `mcp` SDK and its own client-credentials provider, as it ships."""

import json
import os

import anyio
import httpx2
from mcp.client import Client
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client


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


async def main() -> None:
    url = os.environ["SERVER"]
    identity = (os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"])
    provider = ClientCredentialsOAuthProvider(url, Memory(), *identity, issuer=os.environ["ISSUER"])
    async with (
        httpx2.AsyncClient(auth=provider, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        result = await client.call_tool("tickets.get", {"id": 4711})
    print(json.dumps([part.model_dump() for part in result.content]))


anyio.run(main)
