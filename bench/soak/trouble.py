"""What goes wrong with WeCom while the story is told: calls and callbacks, some by chance and some for sure."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from wecom.simulator.testing import Simulator

CALLS: tuple[dict[str, Any], ...] = (
    {"mode": "timeout_before"},
    {"mode": "timeout_after"},
    {"mode": "reset"},
    {"mode": "reset_after"},
    {"mode": "http_500"},
    {"mode": "http_500_after"},
    {"mode": "garbage"},
    {"mode": "garbage_after"},
    {"mode": "slow", "delay": 0.1},
    {"mode": "errcode", "errcode": -1},
    {"mode": "errcode", "errcode": 45009},
    {"mode": "errcode", "errcode": 45033},
    {"mode": "errcode", "errcode": 40014},
    {"mode": "errcode", "errcode": 42001},
)
"""what befalls calls, each at the same rate"""
CALLBACKS = {"callback_loss_rate": 0.2, "callback_duplicate_rate": 0.3, "callback_shuffle_rate": 0.3}
PEACE = {
    "dispatch_seconds": 0.0,
    "moment_job_seconds": 0.0,
    "delete_after_send_rate": 0.0,
    "like_rate": 0.0,
    "comment_rate": 0.0,
    **dict.fromkeys(CALLBACKS, 0.0),
}
SURE: tuple[dict[str, Any], ...] = (
    {"path": "externalcontact/add_msg_template", "mode": "timeout_after", "count": 1},
    {"path": "externalcontact/add_msg_template", "mode": "reset", "count": 1},
    {"path": "externalcontact/add_msg_template", "mode": "garbage_after", "count": 1},
    {"path": "externalcontact/add_moment_task", "mode": "http_500_after", "count": 1},
    {"path": "externalcontact/add_corp_tag", "mode": "timeout_after", "count": 1},
    {"path": "externalcontact/mark_tag", "mode": "errcode", "errcode": 45033, "count": 5},
    {"path": "externalcontact/mark_tag", "mode": "reset_after", "count": 2},
    {"path": "externalcontact/batch/get_by_user", "mode": "reset_after", "count": 2},
)
"""what must not be left to chance"""


class Trouble:
    """Faults put into a simulator, and what came of them."""

    def __init__(self, simulator: Simulator, rate: float, sure: Sequence[dict[str, Any]] = SURE) -> None:
        """From now on calls go wrong at this rate in all, and some for sure."""
        self.simulator = simulator
        self.rules = [*sure, *({"path": "*", "rate": rate / len(CALLS), **rule} for rule in CALLS)]
        for rule in self.rules:
            simulator.post("/_sim/faults", rule)

    def with_callbacks(self, *, lost: bool = True) -> None:
        """Callbacks are doubled and shuffled from now on, and some are lost."""
        self.simulator.post("/_sim/switches", CALLBACKS if lost else {**CALLBACKS, "callback_loss_rate": 0.0})

    def over(self) -> Counter[str]:
        """No more faults; what befell calls and callbacks until now."""
        hits = [rule["hits"] for rule in self.simulator.get("/_sim/faults")["items"]]
        self.simulator.delete("/_sim/faults")
        self.simulator.post("/_sim/switches", dict.fromkeys(CALLBACKS, 0.0))
        injected: Counter[str] = Counter()
        for rule, number in zip(self.rules, hits, strict=True):
            injected[" ".join(str(rule[part]) for part in ("mode", "errcode") if part in rule)] += number
        counted = self.simulator.get("/_sim/counters")["callbacks"]
        for name in ("lost", "duplicated", "shuffled"):
            injected[f"callback {name}"] += counted.get(name, 0)
        return injected
