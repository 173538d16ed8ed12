"""From a push to who gets what from whom, and who does not and why; the dry run is the same decision."""
