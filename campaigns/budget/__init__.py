"""触达预算: the right to reach a contact, reserved by a plan and spent by a delivery."""
