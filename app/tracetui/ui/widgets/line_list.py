"""A list of lines that can be long and change often: what is in sight is drawn, and nothing else.

Textual draws a widget through caches for borders, padding and content, and lays the whole screen
out anew when a scrolled widget gets longer. For a list that gets rows ten times a second that was
most of what the screen did (py-spy). So this one has no border and no padding, scrolls itself, and
hands its lines straight to the compositor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Optional

from rich.segment import Segment
from rich.style import Style
from textual.events import MouseDown, MouseMove, MouseScrollDown, MouseScrollUp, MouseUp
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tracetui.session.text.width import cells_of
from tracetui.ui.widgets.text_parts import Line

if TYPE_CHECKING:
    from typing_extensions import Self

WHEEL_LINES = 3
"""Lines that a notch of the mouse's wheel is."""
_TRACK, _THUMB = " ", "█"


class LineList(Widget, can_focus=True):
    """Lines, a cursor on one of them, and a scrollbar in the last column."""

    ALLOW_SELECT = False
    PREFIX: ClassVar[str] = "lines"
    """Prefix of the component classes: ``PREFIX--ROLE`` for a piece, ``PREFIX--cursor``."""

    def __init__(self, widget_id: str) -> None:
        super().__init__(id=widget_id)
        self._top = 0
        self._strips: dict[int, Strip] = {}
        """Drawn lines, by line of the screen."""
        self._inks: dict[tuple[str, bool], Style] = {}
        self._is_bar_held = False

    @property
    def line_count(self) -> int:
        """The number of lines."""
        raise NotImplementedError

    def line(self, index: int, width: int) -> Optional[Line]:
        """The pieces of a line, counted from the first, for so many cells; None beyond the last."""
        raise NotImplementedError

    @property
    def cursor_line(self) -> Optional[int]:
        """The line that is shown to be under the cursor."""
        raise NotImplementedError

    def user_scrolled(self) -> None:
        """React to a scroll by the mouse."""

    def has_in_sight(self, line: Optional[int]) -> bool:
        """Whether a line is on the screen."""
        return line is not None and 0 <= line - self._top < self.size.height

    @property
    def top(self) -> int:
        """The first line in sight."""
        return self._top

    @property
    def width(self) -> int:
        """The cells of a line: what the scrollbar leaves."""
        return max(0, self.size.width - 1)

    def go_to_top(self, line: int) -> None:
        """Have this line be the first in sight, as far as there are lines."""
        top = max(0, min(line, self.line_count - self.size.height))
        if top != self._top:
            self._top = top
            self.refresh()

    def see(self, line: int, below: int = 0, centre: bool = False) -> None:
        """Bring a line into sight, with as many of those below it as there is room for."""
        height = self.size.height
        if centre and not self.has_in_sight(line):
            self.go_to_top(line - height // 2)
        last = min(line + below, line + height - 1)
        if line < self._top:
            self.go_to_top(line)
        elif last >= self._top + height:
            self.go_to_top(last - height + 1)

    def move_cursor_mark(self, before: Optional[int], now: Optional[int]) -> None:
        """Draw the two lines anew between which the cursor moved."""
        for index in (before, now):
            if index is not None and self.has_in_sight(index):
                self._strips.pop(index - self._top, None)
                self.refresh(Region(0, index - self._top, self.size.width, 1))

    def refresh(
        self,
        *regions: Region,
        repaint: bool = True,
        layout: bool = False,
        recompose: bool = False,
    ) -> Self:
        """Draw all lines anew, or only those of some regions, from what was drawn of the others."""
        if not regions:
            self._strips.clear()
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def notify_style_update(self) -> None:
        """Look the colours up again."""
        super().notify_style_update()
        self._inks.clear()
        self._strips.clear()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Draw a part of the widget."""
        # Asked once: each question walks through the screen.
        width, thumb, drawn = self.width, self._thumb(), self._strips
        missing = [y for y in crop.line_range if y not in drawn]
        cursor = self.cursor_line if missing else None
        for y in missing:
            bar = "" if not thumb else _THUMB if y in thumb else _TRACK
            index = self._top + y
            drawn[y] = self._strip(self.line(index, width), index == cursor, width, bar)
        strips = [drawn[y] for y in crop.line_range]
        if crop.column_span != (0, width + 1):
            return [strip.crop(*crop.column_span) for strip in strips]
        return strips

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Look further down."""
        event.stop()
        self._scroll_by_user(self._top + WHEEL_LINES)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Look further up."""
        event.stop()
        self._scroll_by_user(self._top - WHEEL_LINES)

    def on_mouse_down(self, event: MouseDown) -> None:
        """Take the scrollbar, where it is that."""
        if self.is_on_bar(event.x) and self._thumb():
            event.stop()
            self._is_bar_held = True
            self.capture_mouse()
            self._bar_to(event.y)

    def on_mouse_move(self, event: MouseMove) -> None:
        """Look where the scrollbar is drawn to."""
        if self._is_bar_held:
            self._bar_to(event.y)

    def on_mouse_up(self, event: MouseUp) -> None:
        """Let the scrollbar go."""
        if self._is_bar_held:
            event.stop()
            self._is_bar_held = False
            self.release_mouse()

    def on_mouse_release(self) -> None:
        """Let it go too where a dialog has taken the mouse."""
        self._is_bar_held = False

    def is_on_bar(self, x: int) -> bool:
        """Whether a column of this widget is the scrollbar's."""
        return x >= self.width

    def _scroll_by_user(self, top: int) -> None:
        before = self._top
        self.go_to_top(top)
        if self._top != before:
            self.user_scrolled()

    def _bar_to(self, y: int) -> None:
        height = max(1, self.size.height - 1)
        most = self.line_count - self.size.height
        self._scroll_by_user(round(max(0, min(y, height)) * most / height))

    def _thumb(self) -> range:
        """The lines of the screen where the scrollbar's thumb is; none where all is in sight."""
        height, count = self.size.height, self.line_count
        if count <= height:
            return range(0)
        size = max(1, height * height // count)
        first = round(self._top * (height - size) / (count - height))
        return range(first, first + size)

    def _strip(self, line: Optional[Line], has_cursor: bool, width: int, bar: str) -> Strip:
        """A line as it is drawn; what is wider than there is room is cut, and the bar stays."""
        has_cursor = has_cursor and line is not None
        pieces = [
            Segment(piece.text, self._ink(piece.role, has_cursor))
            for piece in line or ()
            if piece.text
        ]
        room = width - sum(cells_of(piece.text) for piece in line or ())
        if room > 0:
            pieces.append(Segment(" " * room, self._ink("", has_cursor)))
        elif room < 0:
            pieces = list(Strip(pieces).crop(0, width))
        pieces.append(Segment(bar or " ", self._ink("bar" if bar else "", False)))
        return Strip(pieces, width + 1)

    def _ink(self, role: str, is_cursor: bool) -> Style:
        """The style of a piece, with NO_COLOR and the like applied."""
        style = self._inks.get((role, is_cursor))
        if style is None:
            style = self._inks[role, is_cursor] = self._mixed(role, is_cursor)
        return style

    def _mixed(self, role: str, is_cursor: bool) -> Style:
        under, over = self.background_colors
        style = Style(bgcolor=(under + over).rich_color)
        if role:
            style += self.get_component_rich_style(f"{self.PREFIX}--{role}")
        else:
            style += self.rich_style
        if is_cursor:
            style += self.get_component_rich_style(f"{self.PREFIX}--cursor")
        strip = Strip([Segment(" ", style)])
        for line_filter in self.get_line_filters():
            strip = strip.apply_filter(line_filter, over)
        return next(iter(strip)).style or style
