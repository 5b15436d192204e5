"""A LangChain agent that reads one ticket for Alice, with a token for every call and no more.

Needs `deputy-mcp[langchain]` and `langchain`, and DEPUTY_ISSUER, DEPUTY_CLIENT_ID,
DEPUTY_CLIENT_SECRET, TICKETS (the URL of the server) and USER_TOKEN (Alice's).
"""

import os
from typing import Any

from langchain.agents import create_agent
from langchain_mcp_adapters.client import MultiServerMCPClient

from deputy_mcp import Agent, Subject, exact
from deputy_mcp.httpx import TokenExchangeAuth
from deputy_mcp.langchain import ExchangeInterceptor

URL = os.environ["TICKETS"]
# What this task is meant to do. Whatever a ticket tells the model, this does not grow.
TASK = {"tickets.get": {"id": exact(4711)}}


async def answer(model: Any, question: str) -> list[Any]:
    """Lets `model` answer with the tools of the ticket server; every message of it."""
    deputy = Agent(
        os.environ["DEPUTY_ISSUER"],
        os.environ["DEPUTY_CLIENT_ID"],
        os.environ["DEPUTY_CLIENT_SECRET"],
        timeout_s=float(os.environ.get("DEPUTY_TIMEOUT_S", "5")),
    )
    alice = Subject.access_token(os.environ["USER_TOKEN"])
    async with deputy:
        client = MultiServerMCPClient(
            {
                "tickets": {
                    "transport": "streamable_http",
                    "url": URL,
                    "auth": TokenExchangeAuth(deputy, alice, URL, tools=TASK),
                }
            },
            tool_interceptors=[ExchangeInterceptor(deputy, alice, {"tickets": (URL, TASK)})],
        )
        tools = await client.get_tools()
        agent = create_agent(model, tools)
        result = await agent.ainvoke({"messages": [("user", question)]})
    messages: list[Any] = result["messages"]
    return messages
