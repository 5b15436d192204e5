"""A pydantic-ai agent that reads one ticket for Alice, and can do no more.

Needs `deputy-mcp[httpx2]` and `pydantic-ai-slim[mcp]`, and DEPUTY_ISSUER, DEPUTY_CLIENT_ID,
DEPUTY_CLIENT_SECRET, TICKETS (the URL of the server) and USER_TOKEN (Alice's).
"""

import os

from pydantic_ai import Agent, AgentRunResult
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.models import Model

import deputy_mcp
from deputy_mcp import Subject, exact
from deputy_mcp.httpx2 import TokenExchangeAuth

URL = os.environ["TICKETS"]
# What this task is meant to do. Whatever a ticket tells the model, this does not grow.
TASK = {"tickets.get": {"id": exact(4711)}}


async def answer(model: str | Model, question: str) -> AgentRunResult[str]:
    """Lets `model` answer with the tools of the ticket server."""
    deputy = deputy_mcp.Agent(
        os.environ["DEPUTY_ISSUER"],
        os.environ["DEPUTY_CLIENT_ID"],
        os.environ["DEPUTY_CLIENT_SECRET"],
        timeout_s=float(os.environ.get("DEPUTY_TIMEOUT_S", "5")),
    )
    alice = Subject.access_token(os.environ["USER_TOKEN"])
    async with deputy:
        auth = TokenExchangeAuth(deputy, alice, URL, tools=TASK)
        # A denial is told to the model; asking again would not change it.
        tickets = MCPToolset(URL, auth=auth, tool_error_behavior="failed")
        return await Agent(model, toolsets=[tickets]).run(question)
