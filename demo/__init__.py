"""The main loop, played out: a simulated brand from an empty database to a push that WeCom confirmed.

The story goes through the doors a user has: the REST API, the operations behind the console's buttons, the workers.
Nothing of it is prepared: every figure of the summary is counted in the database or in the simulator's journal."""
