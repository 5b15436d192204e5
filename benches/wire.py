"""HTTP/1.1 over loopback for the bench: requests as bytes, many in step on a few sockets."""

import base64
import json
import socket
from urllib.parse import quote, urlencode

TIMEOUT_S = 10
CONNECTIONS = 32


def request(host: str, method: str, path: str, headers: dict, body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body or method != "GET":
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def basic(client: tuple[str, str]) -> dict:
    """The header that authenticates a client by its secret (RFC 6749 §2.3.1)."""
    pair = ":".join(quote(part, safe="") for part in client)
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def form(host: str, path: str, headers: dict, fields: dict) -> bytes:
    """A form POST."""
    headers = headers | {"Content-Type": "application/x-www-form-urlencoded"}
    return request(host, "POST", path, headers, urlencode(fields).encode())


class Connection:
    """One keep-alive connection."""

    def __init__(self, port: int):
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self.head: dict[bytes, bytes] = {}

    def send(self, raw: bytes) -> None:
        self._socket.sendall(raw)

    def receive(self) -> tuple[int, bytes]:
        """Status and body of the next answer; its head stays in `head`."""
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
        status, *fields = head.split(b"\r\n")
        named = (field.partition(b":") for field in fields)
        self.head = {name.lower(): value.strip() for name, _, value in named}
        if self.head.get(b"transfer-encoding") == b"chunked":
            body = b"".join(iter(self._chunk, b""))
        else:
            body = self._take(int(self.head.get(b"content-length", 0)))
        return int(status.split()[1]), body

    def _chunk(self) -> bytes:
        """The next one; the last is empty."""
        while b"\r\n" not in self._buffer:
            self._more()
        size, self._buffer = self._buffer.split(b"\r\n", 1)
        return self._take(int(size, 16) + 2)[:-2]

    def _take(self, length: int) -> bytes:
        while len(self._buffer) < length:
            self._more()
        taken, self._buffer = self._buffer[:length], self._buffer[length:]
        return taken

    def close(self) -> None:
        self._socket.close()

    def _more(self) -> None:
        read = self._socket.recv(65536)
        if not read:
            raise ConnectionError("the server closed the connection")
        self._buffer += read


def once(port: int, raw: bytes) -> tuple[int, bytes]:
    connection = Connection(port)
    try:
        connection.send(raw)
        return connection.receive()
    finally:
        connection.close()


def in_step(port: int, requests: list[bytes], wanted: int = 200) -> list[dict]:
    """Sends all, `CONNECTIONS` at a time, and returns the JSON answers in order."""
    connections = [Connection(port) for _ in range(min(CONNECTIONS, len(requests)))]
    answers = []
    for start in range(0, len(requests), CONNECTIONS):
        batch = list(zip(connections, requests[start : start + CONNECTIONS]))
        for connection, raw in batch:
            connection.send(raw)
        for connection, _ in batch:
            status, body = connection.receive()
            if status != wanted:
                raise SystemExit(f"bench: answered {status}: {body.decode()[:500]}")
            answers.append(json.loads(body))
    for connection in connections:
        connection.close()
    return answers
