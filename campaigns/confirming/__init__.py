"""Guides confirm what is sent: followed, reminded, taken back."""
