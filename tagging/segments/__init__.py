"""Saved questions: who is in, who was and why, kept up to date; estimates, overlaps, explanations."""
