"""docs/wecom.md's table of endpoints is what there is."""

from tests.wecom.endpoint_table import documented, rows


def test_the_table_of_endpoints_is_what_there_is():
    shown, there = documented(), rows()

    remedy = "write it anew: python -m tests.wecom.endpoint_table"
    assert {path: told[:2] for path, told in shown.items()} == {row[0]: (row[1], row[2]) for row in there}, remedy
    for path, _client, _simulator, tests in there:
        # A test that came later need not be shown, but one that is shown must be there.
        assert shown[path][2] <= {each.strip() for each in tests.split(",")}, f"{path}: {remedy}"


def test_whatever_the_product_calls_the_simulator_answers():
    assert [path for path, client, simulator, _tests in rows() if client and not simulator] == []
