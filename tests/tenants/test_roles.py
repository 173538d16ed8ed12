"""The one table of who may do what, as the issue words it."""

import pytest

from tenants.roles import Capability, Role, may

C = Capability
NOT_OPERATORS = {C.MANAGE_SEATS, C.MANAGE_CREDENTIALS, C.MANAGE_KEYS}


@pytest.mark.parametrize("capability", [c for c in Capability if c != C.OPEN_SIDEBAR])
def test_an_owner_may_do_all(capability):
    assert may(Role.OWNER, capability)


@pytest.mark.parametrize("capability", [c for c in Capability if c != C.OPEN_SIDEBAR])
def test_an_operator_may_do_all_but_seats_credentials_and_keys(capability):
    assert may(Role.OPERATOR, capability) == (capability not in NOT_OPERATORS)


@pytest.mark.parametrize("capability", list(Capability))
def test_an_analyst_reads_with_phones_masked_and_exports_nothing(capability):
    reads = capability.value.endswith(".read") and capability != C.READ_AUDIT
    assert may(Role.ANALYST, capability) == (reads or capability == C.OPEN_CONSOLE)


@pytest.mark.parametrize("capability", list(Capability))
def test_a_store_manager_sees_contacts(capability):
    assert may(Role.STORE_MANAGER, capability) == (capability in {C.OPEN_CONSOLE, C.READ_CONTACTS})


@pytest.mark.parametrize("capability", list(Capability))
def test_a_guide_has_the_sidebar_only(capability):
    assert may(Role.GUIDE, capability) == (capability == C.OPEN_SIDEBAR)


def test_an_unknown_role_may_nothing():
    assert not any(may("king", capability) for capability in Capability)
