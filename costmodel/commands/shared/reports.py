"""Shows reports of `pwoct`, such as that it is compiling, as lines on stderr."""

from __future__ import annotations

import logging

from costmodel.commands.shared.errors import say


class Reports(logging.Handler):
    """Prints each report as one line."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a report."""
        say(record.getMessage())


def show_reports() -> None:
    """Show the reports of `pwoct`; by default, the package prints only warnings."""
    logger = logging.getLogger("pwoct")
    if not any(isinstance(handler, Reports) for handler in logger.handlers):
        logger.addHandler(Reports())
        logger.setLevel(logging.INFO)
        logger.propagate = False
