"""A FastMCP client and one of its own client-credentials providers, as they ship."""

import json
import os

import anyio
from fastmcp import Client
from fastmcp.client.auth import (
    ClientCredentialsOAuthProvider,
    PrivateKeyJWTOAuthProvider,
    SignedJWTParameters,
)
from fastmcp.client.transports import StreamableHttpTransport


def provider():
    who, issuer = os.environ["CLIENT_ID"], os.environ["ISSUER"]
    if (key := os.environ.get("KEY")) is None:
        secret = os.environ["CLIENT_SECRET"]
        return ClientCredentialsOAuthProvider(client_id=who, client_secret=secret, issuer=issuer)
    signed = SignedJWTParameters(
        issuer=who, subject=who, signing_key=key, signing_algorithm="ES256"
    ).create_assertion_provider()
    return PrivateKeyJWTOAuthProvider(client_id=who, assertion_provider=signed, issuer=issuer)


async def main() -> None:
    transport = StreamableHttpTransport(os.environ["SERVER"], auth=provider())
    async with Client(transport, timeout=60) as client:
        result = await client.call_tool("tickets.get", {"id": 4711})
    print(json.dumps([part.model_dump() for part in result.content]))


anyio.run(main)
