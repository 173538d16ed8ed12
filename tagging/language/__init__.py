"""The condition language: what can be asked of a contact, compiled to SQL, put in words, judged now and in the past."""
