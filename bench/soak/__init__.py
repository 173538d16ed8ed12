"""The same story told in peace and in trouble."""
