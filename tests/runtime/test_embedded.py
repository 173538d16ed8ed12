"""The embedded servers on a machine where things go wrong."""

import os
import signal
import socket
import stat
import subprocess

import pytest

from scrm.runtime.databases import client
from scrm.runtime.state import RuntimeProblem
from tests.runtime.conftest import eventually, is_gone

pytestmark = pytest.mark.slow


def test_starts_twice_and_stops(machine):
    assert "postgres: running" in machine.runtime("up")
    first = machine.postmaster()

    machine.runtime("up")

    assert machine.postmaster() == first
    assert machine.runtime("status").count("running") == 2
    machine.runtime("down")
    assert is_gone(first)
    assert machine.runtime("status").count("stopped") == 2


def test_three_starts_at_once_make_one_server(machine):
    together = [machine.start("-m", "scrm.runtime", "up") for _ in range(3)]

    outputs = [process.communicate(timeout=120)[0] for process in together]

    assert [process.returncode for process in together] == [0, 0, 0], outputs
    assert len(machine.servers("redis")) == 1
    assert machine.sql("SELECT 1") == "1"


def test_roles_are_what_row_level_security_needs(machine):
    machine.runtime("up")

    flags = machine.sql(
        "SELECT rolname, rolsuper, rolbypassrls, rolcreatedb FROM pg_roles WHERE rolname LIKE 'orchard%' ORDER BY 1"
    )
    assert flags.splitlines() == ["orchard_app|f|f|f", "orchard_owner|f|f|t"]
    with pytest.raises(RuntimeProblem, match="permission denied"):
        machine.sql("CREATE TABLE mine (id int)", role="DATABASE_URL")
    assert machine.sql("SHOW transaction_timeout", role="DATABASE_URL") == "1min"


def test_strangers_on_the_machine_stay_out(machine):
    machine.runtime("up")

    assert stat.S_IMODE((machine.path / "runtime.json").stat().st_mode) == 0o600
    url = machine.written["env"]["DATABASE_URL"]
    password = machine.written["passwords"]["orchard_app"]
    with pytest.raises(RuntimeProblem, match="password authentication failed"):
        client("psql", "-c", "SELECT 1", url=url.replace(password, "guess"))
    with socket.create_connection(("127.0.0.1", machine.written["ports"]["redis"]), timeout=5) as link:
        link.sendall(b"PING\r\n")
        assert link.recv(100).startswith(b"-NOAUTH")


def test_kill_9_loses_nothing_that_was_committed(machine):
    machine.runtime("up")
    machine.sql("CREATE TABLE kept AS SELECT generate_series(1, 10000) AS n", role="DATABASE_OWNER_URL")

    for pid in [machine.postmaster(), *machine.servers("redis")]:
        os.kill(pid, signal.SIGKILL)
    machine.runtime("up")

    assert machine.sql("SELECT count(*) FROM kept") == "10000"


def test_a_stale_lock_file_that_names_a_living_stranger(machine):
    machine.runtime("up")
    os.kill(machine.postmaster(), signal.SIGKILL)
    eventually(lambda: not machine.servers("postgres"))
    lock = machine.path / "services" / "postgres" / "postmaster.pid"
    lines = lock.read_text().splitlines()
    lock.write_text("\n".join([str(os.getppid()), *lines[1:]]) + "\n")  # the pid was given to somebody else since

    machine.runtime("up")

    assert machine.sql("SELECT 1") == "1"


def test_a_half_made_data_directory_is_made_again_and_a_start_that_fails_halfway_leaves_no_server(machine):
    machine.runtime("up")
    machine.runtime("down")
    home = (machine.path / "services").resolve()
    (home / "redis").rename(home / "redis.away")
    (home / "redis").write_text("no directory: the second server does not start")
    machine.runtime("run", "--", "true", status=1)
    assert machine.servers("postgres") == []
    (home / "redis").unlink()
    # What a kill in the middle of initdb leaves: no directory by the real name.
    (home / "postgres").rename(home / "postgres.new")
    (home / "postgres.new" / "PG_VERSION").unlink()

    machine.runtime("up")

    assert machine.sql("SELECT 1") == "1"


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_a_port_that_somebody_took_is_told_and_avoided(machine, name):
    machine.runtime("up")
    machine.runtime("down")
    port = machine.written["ports"][name]
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", port))
        stranger.listen()

        said = machine.runtime("up")

    assert f"Port {port} is in use by another program: {name} now uses" in said
    assert machine.written["ports"][name] != port
    assert machine.sql("SELECT 1") == "1"


def test_a_command_has_the_servers_while_it_runs(machine):
    said = machine.runtime(
        "run", "--", "sh", "-c", "cat $ORCHARD_STATE_DIR/services/postgres/postmaster.pid; exit 3", status=3
    )

    assert is_gone(int(said.split()[0]))


def test_the_last_command_out_stops_them(machine):
    first = machine.start("-m", "scrm.runtime", "run", "--", "sh", "-c", "echo here; cat", stdin=subprocess.PIPE)
    machine.wait_for(first, "here")

    machine.runtime("run", "--", "true")

    assert machine.runtime("status").count("running") == 2  # the first one still needs them
    first.communicate(timeout=60)
    assert machine.runtime("status").count("stopped") == 2


def test_up_outlives_the_commands(machine):
    machine.runtime("up")

    machine.runtime("run", "--", "true")

    assert machine.runtime("status").count("running") == 2


def test_damaged_state_is_named(machine):
    machine.runtime("up")
    good = (machine.path / "runtime.json").read_text()
    (machine.path / "runtime.json").write_text(good[:40])

    said = machine.runtime("up", status=1)

    assert "runtime.json is damaged" in said
    assert "Traceback" not in said
    (machine.path / "runtime.json").write_text(good)
