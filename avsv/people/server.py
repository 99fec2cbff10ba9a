"""The local web server of `avsv serve`: static files, JSON requests, and uploads of one file each.

A page of another site may send requests to a local server through its visitor's browser. Three checks stop it: the
Host header must name this machine (otherwise a foreign name could be made to resolve to it, "DNS rebinding"), the
Origin header must be the page's own, and each request to /api must carry a header that a browser sends to another
origin only after asking that origin, which is never allowed. On an address that other machines can reach, each request
must carry a secret token.
"""

import hmac
import ipaddress
import json
import logging
import socket
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any
from urllib.parse import parse_qs, urlsplit

from avsv.errors import AvsvError
from avsv.jobs.schema import check_shape, parse_json
from avsv.people.gallery_enrolment import EnrolmentRefused
from avsv.people.service import MOST_BYTES, Busy, CutShort, Service

log = logging.getLogger("avsv")
PAGE = Path(__file__).parent / "page"
FILES = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "media-src blob:; img-src blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "camera=(self), microphone=(self)",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
OWN = "X-Avsv"  # a header that marks requests of the page
MOST_JSON = 1 << 16  # bytes of a JSON request
MOST_CONNECTIONS = 16
PATIENCE = 60  # seconds without a byte, after which a connection is closed
SHAPES: dict[str, dict[str, Any]] = {
    "/api/enroll": {"name": str, "ids": [str], "consent": str, "force": bool},
    "/api/identify": {"recording": str},
    "/api/verify": {"one": str, "other": str},
    "/api/discard": {"ids": [str]},
    "/api/remove": {"name": str},
}


class Refused(Exception):
    """A request that is answered with an HTTP error and a message."""

    def __init__(self, status: HTTPStatus, message: str):
        super().__init__(message)
        self.status = status


class Server(ThreadingHTTPServer):
    """Serves a gallery's page.

    Parameters
    ----------
    service : the gallery behind it
    host : address to listen on
    port : 0 for any free one
    token : secret that every request must carry; None for an address that only this machine can reach

    Raises
    ------
    ValueError : no token for an address that other machines can reach
    """

    daemon_threads = True
    request_queue_size = 32

    def __init__(self, service: Service, host: str = "127.0.0.1", port: int = 0, token: str | None = None):
        if token is None and not is_loopback(host):
            raise ValueError(f"{host} can be reached by other machines: expected a token")
        self.service, self.token = service, token
        self.connections = BoundedSemaphore(MOST_CONNECTIONS)
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), Handler)
        names = {"localhost", "127.0.0.1", "[::1]", f"[{host}]" if ":" in host else host}
        self.hosts = {f"{name}:{self.server_port}" for name in names} | (names if self.server_port == 80 else set())

    @property
    def url(self) -> str:
        """Address of the page. The token is in the part that browsers do not send."""
        host = self.server_address[0]
        name = f"[{host}]" if ":" in host else host
        return f"http://{name}:{self.server_port}/" + (f"#token={self.token}" if self.token else "")

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self.connections.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.connections.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("a connection ended early", exc_info=True)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "avsv", ""
    timeout = PATIENCE

    def do_GET(self) -> None:
        self.answer(self.get)

    def do_POST(self) -> None:
        self.answer(self.post)

    def answer(self, work: Callable[[str, dict[str, list[str]]], None]) -> None:
        """Check the request, do its work, and turn errors into answers."""
        url = urlsplit(self.path)
        self.unread = self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers
        try:
            self.refuse_strangers(url.path)
            work(url.path, parse_qs(url.query))
        except Refused as error:
            self.send_problem(error.status, str(error))
        except EnrolmentRefused as error:
            self.send_json({"error": str(error), "reasons": error.reasons}, HTTPStatus.CONFLICT)
        except Busy as error:
            self.send_problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        except CutShort as error:
            self.unread = True
            self.send_problem(HTTPStatus.BAD_REQUEST, str(error))
        except AvsvError as error:
            self.send_problem(HTTPStatus.BAD_REQUEST, str(error))
        except (TimeoutError, ConnectionError):
            self.close_connection = True
        except OSError as error:
            log.error("%s", error)
            text = f"the server cannot read or write its files: {error.strerror or error}"
            self.send_problem(HTTPStatus.INSUFFICIENT_STORAGE, text)
        except Exception:
            log.exception("%s %s", self.command, url.path)
            self.send_problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error; the log of avsv serve shows it")

    def refuse_strangers(self, path: str) -> None:
        """Refused for requests of other sites, and without the token."""
        host = self.headers.get("Host", "")
        if self.server.token is None and host not in self.server.hosts:
            raise Refused(HTTPStatus.FORBIDDEN, "this server answers to localhost only")
        origin = self.headers.get("Origin")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            raise Refused(HTTPStatus.FORBIDDEN, "a request of another site")
        if not path.startswith("/api/"):
            return
        if OWN not in self.headers:
            raise Refused(HTTPStatus.FORBIDDEN, f"expected the header {OWN}")
        if self.server.token is not None:
            given = self.headers.get("Authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), self.server.token.encode()):
                raise Refused(HTTPStatus.UNAUTHORIZED, "open the address that avsv serve printed, with its token")

    def get(self, path: str, query: dict[str, list[str]]) -> None:
        if path in FILES:
            name, kind = FILES[path]
            self.send_body((PAGE / name).read_bytes(), f"{kind}; charset=utf-8")
        elif path == "/api/gallery":
            self.send_json(self.server.service.overview())
        elif path == "/api/person" and len(query.get("name", ())) == 1:
            self.send_json(self.server.service.person(query["name"][0]))
        else:
            raise Refused(HTTPStatus.NOT_FOUND, "no such page")

    def post(self, path: str, query: dict[str, list[str]]) -> None:
        service = self.server.service
        if path == "/api/recordings":
            n_bytes = self.body_length(MOST_BYTES)
            record = service.add_upload(self.rfile, n_bytes)
            self.unread = False
            self.send_json(record)
        elif path in SHAPES:
            given = self.read_json(SHAPES[path])
            self.send_json(getattr(service, path.removeprefix("/api/"))(**given))
        else:
            raise Refused(HTTPStatus.NOT_FOUND, "no such page")

    def body_length(self, most: int) -> int:
        """The announced length of the body; Refused if there is none, or it is too large."""
        text = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not (text.isascii() and text.isdigit()) or len(text) > 18:
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "expected Content-Length")
        if int(text) > most:
            size = f"{most >> 20} MiB" if most >= 1 << 20 else f"{most >> 10} KiB"
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected at most {size}")
        return int(text)

    def read_json(self, shape: dict[str, Any]) -> dict[str, Any]:
        """The body as JSON of this shape; Refused otherwise."""
        n_bytes = self.body_length(MOST_JSON)
        body = self.rfile.read(n_bytes)
        self.unread = len(body) < n_bytes
        try:
            given = parse_json(body.decode())
            check_shape(given, shape)
        except (ValueError, RecursionError) as error:
            raise Refused(HTTPStatus.BAD_REQUEST, f"expected JSON: {error or 'nested too deeply'}") from None
        return given

    def send_json(self, record: dict, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_body(json.dumps(record).encode(), "application/json", status)

    def send_problem(self, status: HTTPStatus, message: str) -> None:
        self.send_json({"error": message}, status)

    def send_body(self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        """Send an answer; the connection is closed if the body of the request was not read to its end."""
        if self.unread:
            self.close_connection = True
        try:
            self.send_response(status)
            for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)
        except OSError:  # the browser has gone
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        log.debug("%s %s", self.address_string(), format % args)
