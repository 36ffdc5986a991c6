"""Starts the one file: ``python3 tracetui.pyz``, or by a name of its own the collector in it.

Older Pythons can read this much, and say what they lack.
"""

import os
import sys

if sys.version_info < (3, 9):  # noqa: UP036 - whoever has the file need not have the Python
    sys.exit("tracetui needs Python 3.9 or later; this is Python %d.%d" % sys.version_info[:2])  # noqa: UP031

from tracetui.onefile.archive_sources import import_from

is_collector = os.path.basename(sys.argv[0]) == "tracetui-collector"  # noqa: PTH119
import_from(__loader__.archive, is_cached=not is_collector)  # type: ignore[name-defined]
if is_collector:
    from tracetui.collector.command import main
else:
    from tracetui.cli import main

sys.exit(main())
