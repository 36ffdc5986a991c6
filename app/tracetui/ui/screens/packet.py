"""Everything that is known of one packet: its header fields, and the bytes they were read from."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tracetui.model.trace.packet import Packet
from tracetui.session.recording import report
from tracetui.session.state.session import Session
from tracetui.session.text.sanitize import sanitize
from tracetui.session.view.about import about
from tracetui.ui.commands import bindings


class PacketScreen(ModalScreen[None]):
    """A page about a packet, as it is when the page is opened."""

    BINDINGS = [  # noqa: RUF012 - as Textual has it
        *bindings("anywhere"),
        Binding("escape,enter,i,q", "dismiss(None)", "close"),
    ]

    def __init__(self, session: Session, packet: Packet) -> None:
        super().__init__()
        self._packet = packet
        self._lines = list(about(packet, session.explain(packet)))

    def compose(self) -> ComposeResult:
        """Lay out the page."""
        header = self._packet.header
        with Vertical(id="packet") as box:
            box.border_title = sanitize(f"{report.protocol(header)} {report.endpoints(header)}")
            box.border_subtitle = "Esc closes"
            with VerticalScroll(id="packet-lines"):
                yield Static("\n".join(map(sanitize, self._lines)), id="packet-text", markup=False)
