"""The story: a summary, an injected instruction, a hand-over, a revocation; in both eras."""

import pytest
from conftest import text
from mcp import MCPError
from servers import TICKET
from world import BILLING_URI

from deputy_mcp import ExchangeRefused, Subject, Want, exact
from deputy_mcp.httpx2 import TokenExchangeAuth

pytestmark = pytest.mark.anyio


async def test_the_delegated_call_runs_and_the_injected_one_is_denied(stage, connect, ran):
    _, alice = stage.user()
    tools = {"tickets.get": {"id": exact(4711)}}
    async with stage.agent() as agent:
        auth = TokenExchangeAuth(agent, alice, stage.urls["tickets"], tools=tools)
        async with connect(auth, stage.urls["tickets"]) as client:
            assert await text(client, "tickets.get", id=4711) == TICKET
            assert "argument_not_permitted" in await text(client, "tickets.get", id=4712)
            assert "tool_not_delegated" in await text(client, "tickets.close", id=4711)
    assert ran == [("tickets.get", 4711)]


async def test_alice_stays_the_subject_through_two_agents(stage, connect, ran):
    sub, alice = stage.user()
    url = stage.urls["refunds"]
    tools = {"refunds.list": {"order_id": exact("A-17")}}
    async with stage.agent("support") as support, stage.agent("billing") as billing:
        passed = await support.hand_over(BILLING_URI, alice, {url: tools})
        auth = TokenExchangeAuth(billing, Subject.hand_over(passed.token), url, tools=tools)
        async with connect(auth, url) as client:
            said = await text(client, "refunds.list", order_id="A-17")
            assert said == f"{sub} > cl_support-agent > cl_billing-agent"
            wide = await text(client, "refunds.list", order_id="*")
            assert wide.startswith("error: denied: ")
            assert "argument_not_permitted" in wide
            export = await text(client, "refunds.export", days=30)
            assert "`refunds.export`" in export
            assert "tool_not_delegated" in export
    assert ran == [("refunds.list", "A-17")]


async def test_a_revocation_between_two_calls_of_an_open_session_bites_at_once(stage, connect, ran):
    sub, alice = stage.user()
    async with stage.agent() as agent:
        auth = TokenExchangeAuth(agent, alice, stage.urls["tickets"], scope="tickets:read")
        async with connect(auth, stage.urls["tickets"]) as client:
            assert await text(client, "tickets.get", id=1) == TICKET
            stage.revoke_user(sub)
            with pytest.raises(MCPError, match="error response"):
                await text(client, "tickets.get", id=1)
        with pytest.raises(ExchangeRefused, match="error id"):
            await agent.token(alice, Want(stage.urls["tickets"], scope="tickets:read"))
    assert ran == [("tickets.get", 1)]
