"""The lab as it was recorded once, for where it can't be built.

``recording.ndjson`` is what ``tracetui record -i eth0`` wrote on the mixed lab of ``__main__``, on
kernel 6.18.
"""

from __future__ import annotations

import io
import pkgutil
from typing import BinaryIO

_RECORDING_NAME = "recording.ndjson"


def open_recording() -> BinaryIO:
    """Open the recording; the caller closes it. Raises OSError."""
    # The loader of the package reads it, out of an archive too.
    return io.BytesIO(pkgutil.get_data("tracetui.lab", _RECORDING_NAME) or b"")
