"""Thin doors of /api/v1/: tags and rules, segments and who is in them, lifecycle, interests, WeCom's tags."""
