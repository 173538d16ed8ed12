"""OneID: which identities are one person, on what evidence, and what people decide where evidence contradicts itself.

How contacts are merged and split is next door, in contacts/merging."""
