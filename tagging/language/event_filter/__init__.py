"""`where` on events: which of a type's events count. One grammar for segments and tag rules, in two spellings.

Short: {"category": "婴童"} · {"product_id": ["A1", "A2"]} · {"min_dwell_seconds": 15, "max_amount_fen": 9900}: a list
means any of; `min_`/`max_` bound a whole number. Long, a list of tests:
[{"prop": "category", "op": "ne", "value": "婴童", "or_missing": true}, {"prop": "keyword", "op": "contains", …}].
Every entry must hold. An event without the property fails every comparison, also "is not", unless `or_missing`."""

from tagging.language.event_filter.asking import comparison_sql, conditions_sql, number_of, text_of
from tagging.language.event_filter.checking import check, check_comparison, check_prop, check_regexp
from tagging.language.event_filter.grammar import (
    OP_LABELS,
    OPS_OF,
    PRESENCE,
    Comparison,
    Where,
    comparison_phrase,
    phrase,
    tests_of,
)
from tagging.language.event_filter.in_hand import matches, passes

__all__ = [
    "OPS_OF",
    "OP_LABELS",
    "PRESENCE",
    "Comparison",
    "Where",
    "check",
    "check_comparison",
    "check_prop",
    "check_regexp",
    "comparison_phrase",
    "comparison_sql",
    "conditions_sql",
    "matches",
    "number_of",
    "passes",
    "phrase",
    "tests_of",
    "text_of",
]
