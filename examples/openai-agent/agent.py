"""An agent on the OpenAI Agents SDK that reads one ticket for Alice, and can do no more.

Needs `deputy-mcp[httpx2]`, `openai-agents` and `mcp` 2, and DEPUTY_ISSUER, DEPUTY_CLIENT_ID,
DEPUTY_CLIENT_SECRET, TICKETS (the URL of the server) and USER_TOKEN (Alice's).
"""

import os

from agents import Agent, Model, Runner, RunResult
from agents.mcp import MCPServerStreamableHttp

import deputy_mcp
from deputy_mcp import Subject, exact
from deputy_mcp.httpx2 import TokenExchangeAuth

URL = os.environ["TICKETS"]
# What this task is meant to do. Whatever a ticket tells the model, this does not grow.
TASK = {"tickets.get": {"id": exact(4711)}}


async def answer(model: str | Model, question: str) -> RunResult:
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
        tickets = MCPServerStreamableHttp(
            {"url": URL, "auth": auth, "timeout": 30}, client_session_timeout_seconds=30
        )
        async with tickets:
            agent = Agent(name="support", model=model, mcp_servers=[tickets])
            return await Runner.run(agent, question)
