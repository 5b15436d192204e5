"""An agent on Google's Agent Development Kit that reads one ticket for Alice, and can do no more.

Needs `deputy-mcp[httpx2]`, `google-adk[mcp]` and `mcp` 2, and DEPUTY_ISSUER, DEPUTY_CLIENT_ID,
DEPUTY_CLIENT_SECRET, TICKETS (the URL of the server) and USER_TOKEN (Alice's).
"""

import os
from typing import Any

import httpx2
from google.adk.agents import LlmAgent
from google.adk.events import Event
from google.adk.models import BaseLlm
from google.adk.runners import InMemoryRunner
from google.adk.tools.mcp_tool import McpToolset, StreamableHTTPConnectionParams

import deputy_mcp
from deputy_mcp import Subject, exact
from deputy_mcp.httpx2 import TokenExchangeAuth

URL = os.environ["TICKETS"]
# What this task is meant to do. Whatever a ticket tells the model, this does not grow.
TASK = {"tickets.get": {"id": exact(4711)}}


async def answer(model: str | BaseLlm, question: str) -> list[Event]:
    """Lets `model` answer with the tools of the ticket server; every event of it."""
    deputy = deputy_mcp.Agent(
        os.environ["DEPUTY_ISSUER"],
        os.environ["DEPUTY_CLIENT_ID"],
        os.environ["DEPUTY_CLIENT_SECRET"],
        timeout_s=float(os.environ.get("DEPUTY_TIMEOUT_S", "5")),
    )
    alice = Subject.access_token(os.environ["USER_TOKEN"])

    def connect(headers: Any = None, timeout: Any = None, auth: Any = None) -> httpx2.AsyncClient:
        # ADK pools sessions by their headers: a token per call belongs in `auth`, not there.
        auth = auth or TokenExchangeAuth(deputy, alice, URL, tools=TASK)
        return httpx2.AsyncClient(headers=headers, timeout=timeout, auth=auth)

    where = StreamableHTTPConnectionParams(url=URL, timeout=30, httpx_client_factory=connect)
    tickets = McpToolset(connection_params=where)
    agent = LlmAgent(name="support", model=model, tools=[tickets])
    async with deputy, InMemoryRunner(agent=agent, app_name="support") as runner:
        return await runner.run_debug(question, quiet=True)
