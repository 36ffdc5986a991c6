"""Real traffic through the lab, bounded in count and time."""

from __future__ import annotations

import itertools
import selectors
import socket
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from tracetui.lab import ruleset
from tracetui.lab.network import SERVER, Lab

CLIENT_TIMEOUT_SECONDS = 0.5
"""How long a client waits for an answer."""
EXCHANGE_PAUSE_SECONDS = 0.7
"""Between two exchanges of the demo."""
FLOOD_SECONDS = 10.0
"""The longest flood."""
_FLOOD_BURST = 20
_FLOOD_STEP_SECONDS = 0.005
_SOCKET_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


class Exchange(NamedTuple):
    """One thing a client can ask for."""

    proto: str
    """``tcp`` or ``udp``."""
    address: dict[int, str]
    """By family."""
    port: int


def _service(name: str) -> dict[int, str]:
    return {family: services[name] for family, services in ruleset.SERVICES.items()}


EXCHANGES = {
    "web": Exchange("tcp", _service("web"), ruleset.WEB),
    "api": Exchange("tcp", _service("api"), ruleset.API),
    "dns": Exchange("udp", _service("dns"), ruleset.DNS),
    "direct": Exchange("tcp", SERVER, ruleset.WEB_BACKEND),
    "dropped": Exchange("tcp", SERVER, ruleset.DROPPED),
    "rejected": Exchange("tcp", SERVER, ruleset.REJECTED),
    "quarantined": Exchange("tcp", SERVER, ruleset.QUARANTINED),
}


class Traffic:
    """Servers that answer, and a client that asks, while the context lasts."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._servers: list[socket.socket] = []

    def __enter__(self) -> Traffic:
        self._servers = self._lab.inside(self._lab.server, _listen)
        self._start(self._serve)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for server in self._servers:
            server.close()

    def ask(self, name: str, family: int = 4) -> str:
        """One exchange of :data:`EXCHANGES`: ``answered``, ``refused`` or ``no answer``."""
        exchange = EXCHANGES[name]
        kind = socket.SOCK_STREAM if exchange.proto == "tcp" else socket.SOCK_DGRAM
        with self._client_socket(family, kind) as client:
            client.settimeout(CLIENT_TIMEOUT_SECONDS)
            try:
                client.connect((exchange.address[family], exchange.port))
                client.send(b"?")
                return "answered" if client.recv(16) else "no answer"
            except ConnectionError:
                return "refused"
            except OSError:
                return "no answer"

    def keep_asking(self) -> None:
        """Go through all exchanges again and again, in the background, until the context ends."""
        self._start(self._keep_asking)

    def flood(self, packets_per_second: int, seconds: float) -> int:
        """Send DNS questions as fast as asked, for at most 10 seconds; how many were sent."""
        end = time.monotonic() + min(seconds, FLOOD_SECONDS)
        address = (EXCHANGES["dns"].address[4], EXCHANGES["dns"].port)
        began, sent = time.monotonic(), 0
        with self._client_socket(4, socket.SOCK_DGRAM) as client:
            while (now := time.monotonic()) < end and not self._stop.is_set():
                due = min(int((now - began) * packets_per_second) - sent, _FLOOD_BURST)
                for _ in range(due):
                    client.sendto(b"?", address)
                sent += max(due, 0)
                time.sleep(_FLOOD_STEP_SECONDS if due < _FLOOD_BURST else 0)
        return sent

    def _client_socket(self, family: int, kind: int) -> socket.socket:
        # A socket stays in the namespace it was made in, whichever thread uses it.
        return self._lab.inside(
            self._lab.client, lambda: socket.socket(_SOCKET_FAMILIES[family], kind)
        )

    def _start(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name="lab", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _keep_asking(self) -> None:
        for family, name in itertools.cycle(itertools.product((4, 6), EXCHANGES)):
            if self._stop.wait(EXCHANGE_PAUSE_SECONDS):
                return
            self.ask(name, family)

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            for server in self._servers:
                selector.register(server, selectors.EVENT_READ)
            while not self._stop.is_set():
                for key, _ in selector.select(0.1):
                    _answer(key.fileobj)  # type: ignore[arg-type]


def _listen() -> list[socket.socket]:
    servers = []
    for family in _SOCKET_FAMILIES.values():
        for port in (ruleset.WEB_BACKEND, ruleset.API_BACKEND):
            servers.append(socket.create_server(("", port), family=family))
        server = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        server.bind(("", ruleset.DNS_BACKEND))
        servers.append(server)
    for server in servers:
        server.setblocking(False)
    return servers


def _answer(server: socket.socket) -> None:
    """Answer who asks now; a client that left meanwhile is no matter."""
    try:
        if server.type == socket.SOCK_DGRAM:
            data, sender = server.recvfrom(16)
            server.sendto(data, sender)
            return
        connection, _ = server.accept()
        with connection:
            connection.settimeout(CLIENT_TIMEOUT_SECONDS)
            connection.sendall(connection.recv(16))
    except OSError:
        pass
