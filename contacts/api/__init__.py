"""Thin doors of /api/v1/: contacts, OneID, churn."""
