"""Control groups, and whose behaviour a comparison of groups counts."""
