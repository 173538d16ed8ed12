"""A WeCom (企业微信) server that behaves as the real one does, for development, tests and demos.

It is a process of its own (`python -m wecom.simulator`, `manage.py wecom_simulator`) and knows nothing of Django or of
the product: whatever the product learns, it learns over HTTP. `/cgi-bin/…` is WeCom's surface, `/_sim/…` the control
surface (docs/simulator.md).

    world     corps with their tables; people, records, sends: what is in them
    seed      makes a world from a number
    engine    clock, world, journal, due acts, tokens, limits, faults: the state of one simulator
    call      one call as it came in: parameters, whom they name, paging
    wire      how a call is checked and answered: registry of endpoints, order of checks, errors
    endpoints one module per section of WeCom's documentation
    relations, library, staff, mass, moments, transfers, links, rooms   what happens in the world
    acts      the same on request; habits: by itself
    outbound  encrypted callbacks
    snapshot  the world as JSON; saving: writes it beside the running server
    server    aiohttp glue; control, phone, hosts: the other doors
"""
