"""A backup restored into a new cluster, and the log that goes on there."""

from pathlib import Path

import pytest

from scrm.runtime.state import RuntimeProblem

pytestmark = pytest.mark.slow


@pytest.fixture
def saved(make_machine, tmp_path) -> tuple[object, Path]:
    """A machine with a brand whose log was read halfway, and its backup."""
    machine = make_machine("old")
    machine.runtime("up")
    machine.run("manage.py", "migrate", "--database", "owner", "--skip-checks")
    # The old cluster has lived: its transaction ids are far beyond those of a new one.
    machine.sql("SELECT pg_current_xact_id();\n" * 3000)
    assert machine.run("-m", "tests.runtime.log_story", "before").splitlines()[-1] == "given: first"
    file = tmp_path / "saved.backup"
    machine.run("manage.py", "backup", "--file", str(file))
    return machine, file


def test_restores_into_a_new_cluster_and_goes_on(saved, make_machine):
    old, file = saved
    new = make_machine("new")
    new.runtime("up")

    refused = new.run("manage.py", "restore", "--file", str(file), status=1)
    assert "ORCHARD_SECRET_KEYS" in refused  # the new machine drew its own keys: the old secrets would be lost
    keys = [machine.written["env"]["ORCHARD_SECRET_KEYS"] for machine in (new, old)]
    new.environ["ORCHARD_SECRET_KEYS"] = ",".join(keys)
    new.run("manage.py", "restore", "--file", str(file))

    # Not "first" again, and neither the unread row of the old cluster nor the new one is waited for in vain.
    assert new.run("-m", "tests.runtime.log_story", "after").splitlines()[-1] == "given: second third"
    # The runtime role is as tightly bound as before.
    with pytest.raises(RuntimeProblem, match="brand_id"):
        new.sql("SELECT count(*) FROM events_event", role="DATABASE_URL")
    assert new.sql("SELECT tableowner FROM pg_tables WHERE tablename = 'events_event'") == "orchard_owner"


def test_a_damaged_backup_changes_nothing(saved):
    machine, file = saved
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])

    assert "not a whole backup" in machine.run("manage.py", "restore", "--file", str(file), status=1)
    middle = len(whole) // 2
    file.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    assert "damaged" in machine.run("manage.py", "restore", "--file", str(file), status=1)
    assert machine.run("-m", "tests.runtime.log_story", "after").splitlines()[-1] == "given: second third"
