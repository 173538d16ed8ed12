"""What a brand lets its tags, interests and lifecycle stages be computed by, and the runs of it over history."""
