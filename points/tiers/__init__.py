"""Members' tiers: who has earned which, until when, and what becomes of it then.

`rules` says what counts, `course` how one contact's tier goes on, `keeping` looks at contacts and writes it down."""

from points.tiers.reading import TierNow, of

__all__ = ["TierNow", "of"]
