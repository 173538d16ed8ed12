"""The tables of the log: the log itself, what brands declare, files being imported, events a reactor could not take."""

from events.models.declared import DeclaredType
from events.models.imports import Import, ImportPart
from events.models.log import Event, LogEra, ReactorCursor
from events.models.parked import ParkedEvent

__all__ = ["DeclaredType", "Event", "Import", "ImportPart", "LogEra", "ParkedEvent", "ReactorCursor"]
