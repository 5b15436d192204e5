"""A FastMCP client and its own client-credentials provider, as it ships."""

import json
import os

import anyio
from fastmcp import Client
from fastmcp.client.auth import ClientCredentialsOAuthProvider
from fastmcp.client.transports import StreamableHttpTransport


async def main() -> None:
    provider = ClientCredentialsOAuthProvider(
        client_id=os.environ["CLIENT_ID"],
        client_secret=os.environ["CLIENT_SECRET"],
        issuer=os.environ["ISSUER"],
    )
    transport = StreamableHttpTransport(os.environ["SERVER"], auth=provider)
    async with Client(transport, timeout=60) as client:
        result = await client.call_tool("tickets.get", {"id": 4711})
    print(json.dumps([part.model_dump() for part in result.content]))


anyio.run(main)
