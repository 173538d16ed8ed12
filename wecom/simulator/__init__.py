"""A WeCom (企业微信) server that behaves as the real one does, for development, tests and demos.

It is a process of its own (`python -m wecom.simulator`, `manage.py wecom_simulator`) and knows nothing of Django or of
the product: whatever the product learns, it learns over HTTP. `/cgi-bin/…` is WeCom's surface, `/_sim/…` the control
surface (docs/simulator.md).

    world     who exists: corps, members, customers, follows, groups, tags, and what the corp created
    seed      makes a world from a number
    engine    clock, world, journal, due acts, tokens, limits, faults: the state of one simulator
    wire      conventions of a WeCom call: registry of endpoints, order of checks, errors, paging
    endpoints one module per section of WeCom's documentation
    mass, moments, relations, acts   what happens in the world
    outbound  encrypted callbacks
    server    aiohttp glue; control, phone: the other doors
"""
