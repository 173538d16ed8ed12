"""The endpoints, one module per section of WeCom's documentation. Importing this package registers them all."""

from wecom.simulator.endpoints import (
    contact_ways,
    credentials,
    customers,
    directory,
    groups,
    identity,
    mass,
    media,
    messages,
    moments,
    tags,
)
from wecom.simulator.wire import ENDPOINTS

__all__ = [
    "ENDPOINTS",
    "contact_ways",
    "credentials",
    "customers",
    "directory",
    "groups",
    "identity",
    "mass",
    "media",
    "messages",
    "moments",
    "tags",
]
