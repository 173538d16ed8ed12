"""Log lines: a constant message and ids. Names, phones and bodies never belong in a log."""

import json
import logging
from datetime import UTC, datetime

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class Formatter(logging.Formatter):
    """One line a record: JSON for machines, `time level message key=value …` for people."""

    def __init__(self, *, json: bool = False) -> None:
        super().__init__()
        self._json = json

    def format(self, record: logging.LogRecord) -> str:
        """The record's time in UTC, level, message and extra fields, with its traceback when there is one."""
        extra = {key: value for key, value in vars(record).items() if key not in _STANDARD and key[0] != "_"}
        extra = {key: value for key, value in extra.items() if isinstance(value, str | int | float | bool | None)}
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        if self._json:
            line = {
                "at": moment,
                "level": record.levelname,
                "logger": record.name,
                "message": record.getMessage(),
            }
            return json.dumps({**line, **extra, **({"trace": trace} if trace else {})}, ensure_ascii=False)
        fields = "".join(f" {key}={value}" for key, value in extra.items())
        return f"{moment} {record.levelname:<7} {record.name}: {record.getMessage()}{fields}" + (
            f"\n{trace}" if trace else ""
        )
