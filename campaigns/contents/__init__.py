"""What is said: texts and attachments within WeCom's limits, and the files that they show."""
