"""The admin API as meshctl asks it: HTTP over TCP or a unix socket, standard library only."""

import http.client
import json
import socket
from typing import Any

from meshd.document.address import split_address

MAX_ANSWER_BYTES = 256 * 1024 * 1024
DEFAULT = "127.0.0.1:15000"


class AdminError(Exception):
    """The admin API could not be asked, or refused; the text says where, what, and what to do."""


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Connect (http.client.HTTPConnection)."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class AdminClient:
    """Asks one admin API; ``address`` is HOST:PORT or unix:PATH, which has been checked."""

    def __init__(self, address: str, timeout_s: float = 30.0) -> None:
        self.address = address
        self.timeout_s = timeout_s

    def get(self, target: str) -> Any:
        """Return the JSON of a page. Raises AdminError."""
        return self.read(target, *self.ask("GET", target))

    def read(self, target: str, status: int, body: bytes) -> Any:
        """Return the JSON of an answer to a question about ``target``. Raises AdminError where it was refused."""
        if status != 200:
            raise AdminError(f"admin {self.address}: {target}: {status}: {_text(body)}")
        return _json(body, f"admin {self.address}: {target}")

    def post(self, target: str, *, refusals: tuple[int, ...] = ()) -> Any:
        """Return the JSON of a page that changes something, also where its status is one of ``refusals``."""
        status, body = self.ask("POST", target)
        if status != 200 and status not in refusals:
            raise AdminError(f"admin {self.address}: {target}: {status}: {_text(body)}")
        return _json(body, f"admin {self.address}: {target}")

    def ask(self, method: str, target: str) -> tuple[int, bytes]:
        """Return (status, body). Raises AdminError where there is no answer."""
        connection = self._connection()
        try:
            connection.request(method, target)
            answer = connection.getresponse()
            return answer.status, answer.read(MAX_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise AdminError(f"admin {self.address}: {_reason(error)}\nhelp: {self._advice(error)}") from None
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self.address.startswith("unix:"):
            return UnixConnection(self.address[5:], self.timeout_s)
        host, port = split_address(self.address)
        return http.client.HTTPConnection(host, port, timeout=self.timeout_s)

    def _advice(self, error: Exception) -> str:
        if isinstance(error, PermissionError):
            return "the socket belongs to the daemon's user: run meshctl as that user or as root"
        if isinstance(error, TimeoutError):
            return "the daemon does not answer: its log may say what keeps it busy"
        where = "--admin HOST:PORT|unix:PATH or MESHD_ADMIN says where (admin.address of its configuration)"
        return f"is meshd running there? {where}"


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    reason = getattr(error, "strerror", None)
    return reason.lower() if reason else f"{type(error).__name__}: {error}".rstrip(": ")


def _text(body: bytes) -> str:
    try:
        return str(json.loads(body).get("error", "refused"))
    except (ValueError, AttributeError):
        return body.decode("utf-8", "replace").strip() or "refused"


def _json(body: bytes, where: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        raise AdminError(f"{where}: the answer is no JSON: expected meshd's admin API there") from None
