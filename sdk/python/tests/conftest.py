"""One stage for the whole run; every test brings a person of its own."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from servers import refunds, tickets
from world import World, serving, world

from deputy_mcp.httpx2 import TokenExchangeAuth

ERAS = ["legacy", "2026-07-28"]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def ran_all() -> list[Any]:
    return []


@pytest.fixture(scope="session")
def stage(ran_all: list[Any]) -> Iterator[World]:
    with world() as everybody:
        asked = everybody.guard("tickets")
        with (
            serving(tickets(asked, ran_all).http_app(path="/mcp"), everybody.sockets["tickets"]),
            serving(refunds(everybody.guard("refunds"), ran_all), everybody.sockets["refunds"]),
        ):
            yield everybody


@pytest.fixture
def ran(ran_all: list[Any]) -> list[Any]:
    """What ran since this test began."""
    ran_all.clear()
    return ran_all


@pytest.fixture(params=ERAS)
def era(request: pytest.FixtureRequest) -> str:
    return request.param


Connect = Callable[..., Any]


@pytest.fixture
def connect(era: str) -> Connect:
    """Opens an MCP session in either era of the protocol."""

    @asynccontextmanager
    async def open_(auth: TokenExchangeAuth, url: str) -> AsyncIterator[Client[Any]]:
        transport = StreamableHttpTransport(url, auth=auth)
        async with Client(transport, mode=era, timeout=20) as client:
            yield client

    return open_


async def text(client: Client[Any], tool: str, **arguments: Any) -> str:
    """Calls a tool; what it said, marked if it is an error."""
    result = await client.call_tool(tool, arguments, raise_on_error=False)
    said = "".join(part.text for part in result.content)
    return f"error: {said}" if result.is_error else said
