"""`make bench`: the product measured beside the least that PostgreSQL needs for the same rows (docs/performance.md)."""
