"""A push as its operator has it in hand: written, sent, recalled, cancelled."""
