"""Deputy for FastMCP servers: five lines, and every call is decided when it is made.

`DeputyAuth` is the server's `auth`: it brings the gate, the token verifier and the metadata of
RFC 9728. `DeputyMiddleware` is the last check before a tool: add it as the last middleware.
"""

from collections.abc import Iterable
from typing import Any

from fastmcp.server.auth import AccessToken, RemoteAuthProvider, TokenVerifier
from fastmcp.server.dependencies import get_access_token, get_http_request
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import ToolResult
from mcp_types import CallToolRequestParams, TextContent
from pydantic import AnyHttpUrl
from starlette.middleware import Middleware as AsgiMiddleware

from deputy_mcp.denial import Denial
from deputy_mcp.deputy import Deputy
from deputy_mcp.gate import App, DeputyGate, Receive, Scope, Send
from deputy_mcp.last_check import last_check, misfit
from deputy_mcp.mcp import fields, gate_answer

# A middleware that has one of these of its own may change a call.
_CALL_HOOKS = ("__call__", "_dispatch_handler", "on_message", "on_request", "on_call_tool")


class DeputyTokenVerifier(TokenVerifier):
    """Tells FastMCP whose token it is. It asks nobody: the gate has asked, once, about the call.

    Without the gate, which `DeputyAuth` brings along, no token is good.
    """

    async def verify_token(self, token: str) -> AccessToken | None:
        """The token that the gate let through with this request, and no other."""
        answer = gate_answer(token)
        return AccessToken(**fields(token, answer)) if answer is not None else None


class DeputyAuth(RemoteAuthProvider):
    """The `auth=` of a FastMCP server whose tools Deputy guards.

    `deputy.resource` must be the URL of the MCP endpoint: its path is the path of the server.
    `open_methods` and `scopes` are those of `DeputyGate`.
    """

    def __init__(
        self, deputy: Deputy, *, open_methods: Iterable[str] = (), scopes: Iterable[str] = ()
    ) -> None:
        scopes = list(scopes)
        base, _, self._path = _split(deputy.resource)
        super().__init__(
            token_verifier=DeputyTokenVerifier(),
            authorization_servers=[AnyHttpUrl(deputy.issuer)],
            base_url=base,
            scopes_supported=scopes,
        )
        self._deputy = deputy
        self._open_methods = frozenset(open_methods)
        self._scopes = scopes

    def set_mcp_path(self, mcp_path: str | None) -> None:
        """Refuses a path that is not the resource's: clients would be sent to another server."""
        if (mcp_path or "/").rstrip("/") != self._path.rstrip("/"):
            raise ValueError(
                f"the server is at `{mcp_path}` but its resource is `{self._deputy.resource}`: "
                f"run it with path=`{self._path}`, or register the resource as it is"
            )
        super().set_mcp_path(mcp_path)

    def get_middleware(self) -> list[Any]:
        """The gate first, then what FastMCP does with a verified token."""
        gate = AsgiMiddleware(
            _GateAtEndpoint,
            deputy=self._deputy,
            path=self._path,
            open_methods=self._open_methods,
            scopes=self._scopes,
        )
        return [gate, *super().get_middleware()]


class DeputyMiddleware(Middleware):
    """The last check before every tool. Add it last: what runs after it is not checked."""

    def __init__(self, deputy: Deputy) -> None:
        self._deputy = deputy

    async def on_call_tool(
        self,
        context: MiddlewareContext[CallToolRequestParams],
        call_next: CallNext[CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        """Runs the call if it is the one that Deputy permitted."""
        # A copy of our own: what is checked is what is run.
        call = context.message.model_copy(deep=True)
        denied = await self._denied(context, call)
        if denied is None:
            return await call_next(context.copy(message=call))
        content = [TextContent(type="text", text=denied.text)]
        return ToolResult(content=content, meta=denied.meta(), is_error=True)

    async def _denied(
        self, context: MiddlewareContext[Any], call: CallToolRequestParams
    ) -> Denial | None:
        if context.fastmcp_context is None:
            return Denial("denied: this call came in without a FastMCP context")
        server = context.fastmcp_context.fastmcp
        if (later := self._after_us(server.middleware)) is not None:
            return Denial(
                f"denied: add `DeputyMiddleware` after `{later}`, which could change calls"
            )
        tool = await server.get_tool(call.name)
        if (denied := misfit(tool.parameters if tool else None, call.arguments)) is not None:
            return denied
        token = get_access_token()
        return await last_check(
            self._deputy, _request(), token.token if token else None, call.name, call.arguments
        )

    def _after_us(self, chain: list[Middleware]) -> str | None:
        behind = chain[chain.index(self) + 1 :] if self in chain else []
        return next((type(m).__name__ for m in behind if _may_change_calls(m)), None)


class _GateAtEndpoint:
    """The gate at the MCP endpoint; other routes of the application are none of its business."""

    def __init__(
        self,
        app: App,
        deputy: Deputy,
        path: str,
        open_methods: Iterable[str],
        scopes: Iterable[str],
    ) -> None:
        self._app = app
        self._path = path
        self._gate = DeputyGate(app, deputy, open_methods=open_methods, scopes=scopes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
        here = scope["type"] == "http" and _route(scope).rstrip("/") == self._path.rstrip("/")
        await (self._gate if here else self._app)(scope, receive, send)


def _may_change_calls(middleware: Middleware) -> bool:
    kind = type(middleware)
    return any(getattr(kind, hook) is not getattr(Middleware, hook) for hook in _CALL_HOOKS)


def _request() -> Scope | None:
    try:
        return get_http_request().scope
    except RuntimeError:
        return None


def _route(scope: Scope) -> str:
    """The path below the place where the application is mounted."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _split(resource: str) -> tuple[str, str, str]:
    scheme, _, rest = resource.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host}", slash, f"/{path}"
