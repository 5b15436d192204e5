"""Deputy for LangChain agents: every tool call under a token of its own, for that tool alone."""

from collections.abc import Awaitable, Callable, Mapping

from langchain_mcp_adapters.interceptors import MCPToolCallRequest, MCPToolCallResult
from mcp.types import CallToolResult, TextContent

from deputy_mcp.agent import Agent, Subject, Want
from deputy_mcp.authority import Tools
from deputy_mcp.errors import DeputyError

Handler = Callable[[MCPToolCallRequest], Awaitable[MCPToolCallResult]]


class ExchangeInterceptor:
    """A tool interceptor for `MultiServerMCPClient`.

    `servers` maps the name of each connection to its resource and the tools that the application
    means to use there. A tool that was not named is not called, and Deputy is not asked for it.
    `ValueError` for an agent whose tokens are bound to a key.
    """

    def __init__(
        self, agent: Agent, subject: Subject, servers: Mapping[str, tuple[str, Tools]]
    ) -> None:
        if agent.dpop is not None:
            raise ValueError(
                "the adapters send one set of headers with several requests, and a proof is good"
                " for one: give the connection a `TokenExchangeAuth`, or the agent no `dpop`"
            )
        self._agent = agent
        self._subject = subject
        self._servers = dict(servers)

    async def __call__(self, request: MCPToolCallRequest, handler: Handler) -> MCPToolCallResult:
        """Calls the tool with a token for it, or says why not in the result."""
        resource, tools = self._servers.get(request.server_name, ("", {}))
        if request.name not in tools:
            return _denied(f"denied: `{request.name}` is not among the tools of this task")
        want = Want(resource, tools={request.name: tools[request.name]})
        try:
            token = await self._agent.token(self._subject, want)
        except DeputyError as e:
            return _denied(f"denied: {e}")
        headers = dict(request.headers or {})
        headers["Authorization"] = f"Bearer {token.value}"
        return await handler(request.override(headers=headers))


def _denied(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], isError=True)
