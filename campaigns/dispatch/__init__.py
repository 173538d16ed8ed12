"""Batches given to WeCom, each at most once; what WeCom tells of them afterwards."""
