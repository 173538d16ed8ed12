"""What starts and stops the product on one machine: embedded servers, processes, backup.

`environment` tells settings where the servers are; `embedded` runs PostgreSQL and Valkey below the state
directory; `supervisor` runs web, workers, beat and simulator; `backup` moves the data. Nothing here knows the
product's rules, and `environment` and `embedded` need no Django.
"""
