"""Outreach by REST: contents, pushes, their dry run and their deliveries."""
