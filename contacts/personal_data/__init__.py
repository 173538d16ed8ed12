"""One person's data: all of it for the person, and the end of it (PIPL articles 45 and 47)."""
