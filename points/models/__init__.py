"""Tables of points: the ledger and the rules that earn, and members' tiers."""

from points.models.ledger import EarnRule, Lot, LotUse, PointsAccount, PointsEntry, Transfer
from points.models.tiers import Tier, TierFloor, TierRules, TierSpell

__all__ = [
    "EarnRule",
    "Lot",
    "LotUse",
    "PointsAccount",
    "PointsEntry",
    "Tier",
    "TierFloor",
    "TierRules",
    "TierSpell",
    "Transfer",
]
