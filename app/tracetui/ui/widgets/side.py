"""The left side; beside the packets, its edge goes where the mouse takes it."""

from __future__ import annotations

from textual.containers import Vertical
from textual.events import MouseMove, MouseUp
from textual.message import Message
from textual.widget import Widget


class Side(Vertical):
    """Panes one above the other."""

    class EdgeDragged(Message):
        """The user wants the side to be so wide."""

        def __init__(self, cells: int) -> None:
            super().__init__()
            self.cells = cells

    def __init__(self, *panes: Widget) -> None:
        super().__init__(*panes, id="side")
        self._is_held = False

    def has_edge_at(self, x: int, y: int) -> bool:
        """Whether a cell of the screen is in its right border, or in that of the pane beside it."""
        region = self.region
        return region.right - 1 <= x <= region.right and region.y <= y < region.bottom

    def hold_edge(self) -> None:
        """Follow the mouse until its button is let go."""
        self._is_held = True
        self.capture_mouse()

    def on_mouse_move(self, event: MouseMove) -> None:
        """Be as wide as the mouse is far."""
        if self._is_held:
            self.post_message(self.EdgeDragged(int(event.screen_x) + 1 - self.region.x))

    def on_mouse_up(self, event: MouseUp) -> None:
        """Let the edge go."""
        if self._is_held:
            event.stop()
            self._is_held = False
            self.release_mouse()

    def on_mouse_release(self) -> None:
        """Let it go too where a dialog has taken the mouse."""
        self._is_held = False
