"""A backup restored into a new cluster, and the log that goes on there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scrm.runtime.state import RuntimeProblem
from tests.runtime.conftest import Machine, machines

pytestmark = [pytest.mark.slow, pytest.mark.long]
PICTURE = "media/1/ab/ab12-34"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Machine, Path]]:
    """A machine with a brand whose log was read halfway, and its backup. Tests leave both as they are."""
    path = tmp_path_factory.mktemp("backup")
    with machines(path) as make:
        machine = make("old")
        machine.runtime("up")
        machine.run("manage.py", "migrate", "--database", "owner", "--skip-checks")
        # The old cluster has lived: its transaction ids are far beyond those of a new one.
        machine.sql("SELECT pg_current_xact_id();\n" * 3000)
        assert machine.run("-m", "tests.runtime.log_story", "before").splitlines()[-1] == "given: first"
        picture = Path(machine.environ["ORCHARD_STATE_DIR"]) / PICTURE
        picture.parent.mkdir(parents=True)
        picture.write_bytes(b"a kept picture")
        machine.run("manage.py", "backup", "--file", str(path / "saved.backup"))
        yield machine, path / "saved.backup"


def test_restores_into_a_new_cluster_and_goes_on(saved, make_machine):
    old, file = saved
    new = make_machine("new")
    new.runtime("up")

    refused = new.run("manage.py", "restore", "--file", str(file), status=1)
    assert "ORCHARD_SECRET_KEYS" in refused  # the new machine drew its own keys: the old secrets would be lost
    keys = [machine.written["env"]["ORCHARD_SECRET_KEYS"] for machine in (new, old)]
    new.environ["ORCHARD_SECRET_KEYS"] = ",".join(keys)
    new.run("manage.py", "restore", "--file", str(file))

    assert (Path(new.environ["ORCHARD_STATE_DIR"]) / PICTURE).read_bytes() == b"a kept picture"
    # Not "first" again, and neither the unread row of the old cluster nor the new one is waited for in vain.
    assert new.run("-m", "tests.runtime.log_story", "after").splitlines()[-1] == "given: second third"
    # The runtime role is as tightly bound as before.
    with pytest.raises(RuntimeProblem, match="brand_id"):
        new.sql("SELECT count(*) FROM events_event", role="DATABASE_URL")
    assert new.sql("SELECT tableowner FROM pg_tables WHERE tablename = 'events_event'") == "orchard_owner"


def test_a_damaged_backup_changes_nothing(saved, tmp_path):
    machine, file = saved
    whole, middle, bad = file.read_bytes(), file.stat().st_size // 2, tmp_path / "bad.backup"

    bad.write_bytes(whole[:middle])
    assert "not a whole backup" in machine.run("manage.py", "restore", "--file", str(bad), status=1)
    bad.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    assert "damaged" in machine.run("manage.py", "restore", "--file", str(bad), status=1)

    assert machine.sql("SELECT count(*) FROM events_event") == "2"
    assert machine.sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'orchard%'") == "1"
