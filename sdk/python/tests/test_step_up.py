"""Stepping up: to what the application named beforehand, once, and never further."""

import pytest
from conftest import text
from mcp import MCPError
from test_requests import call, head, post, token_for

from deputy_mcp import WrongServer
from deputy_mcp.httpx2 import TokenExchangeAuth

pytestmark = pytest.mark.anyio


async def test_a_scope_that_was_named_beforehand_is_added_when_it_is_asked_for(stage, connect, ran):
    _, alice = stage.user()
    url = stage.urls["tickets"]
    async with stage.agent() as agent:
        auth = TokenExchangeAuth(agent, alice, url, scope="tickets:read", step_up="tickets:notes")
        async with connect(auth, url) as client:
            assert await text(client, "tickets.notes", id=1) == "handle with care"
            assert await text(client, "tickets.get", id=1)
    assert ran == [("tickets.notes", 1), ("tickets.get", 1)]


async def test_a_scope_that_was_not_named_is_not_asked_for(stage, connect, ran):
    _, alice = stage.user()
    url = stage.urls["tickets"]
    async with stage.agent() as agent:
        auth = TokenExchangeAuth(agent, alice, url, scope="tickets:read", step_up="tickets:write")
        async with connect(auth, url) as client:
            with pytest.raises(MCPError, match="error response"):
                await text(client, "tickets.notes", id=1)
            assert "error: denied" in await text(client, "tickets.close", id=1)
    assert ran == []


async def test_the_challenge_names_exactly_the_scope(stage, ran):
    _, alice = stage.user()
    token = await token_for(stage, alice, scope="tickets:read")
    answer = await post(stage.urls["tickets"], token, call("tickets.notes", id=1))
    assert answer.status_code == 403
    assert 'scope="tickets:notes"' in answer.headers["WWW-Authenticate"]


async def test_stepping_up_cannot_reach_named_tools(stage):
    _, alice = stage.user()
    async with stage.agent() as agent:
        for more in ({"tools": {}}, {"scope": "s", "tools": {}}, {}):
            with pytest.raises(ValueError, match="step_up"):
                TokenExchangeAuth(agent, alice, "https://x/mcp", step_up="s", **more)


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example/mcp",
        "http://t.example/mcp",
        "https://t.example/mcp2",
        "https://t.example/",
        "https://t.example:444/mcp",
        "https://t.example@other.example/mcp",
    ],
)
async def test_a_token_is_not_sent_to_another_server(stage, url):
    import httpx2

    _, alice = stage.user()
    async with stage.agent() as agent:
        auth = TokenExchangeAuth(agent, alice, "https://t.example/mcp", scope="s")
        async with httpx2.AsyncClient(auth=auth) as client:
            with pytest.raises(WrongServer):
                await client.post(url)


async def test_the_same_for_httpx(stage, ran):
    import httpx

    from deputy_mcp.httpx import TokenExchangeAuth as Auth

    _, alice = stage.user()
    url = stage.urls["tickets"]
    async with stage.agent() as agent:
        auth = Auth(agent, alice, url, scope="tickets:read", step_up="tickets:notes")
        asked = call("tickets.notes", id=1)
        async with httpx.AsyncClient(auth=auth, timeout=60, headers=head(asked)) as client:
            answer = await client.post(url, json=asked)
    assert "handle with care" in answer.text
    assert ran == [("tickets.notes", 1)]
    with pytest.raises(RuntimeError, match="AsyncClient"), httpx.Client(auth=auth) as client:
        client.get(url)
