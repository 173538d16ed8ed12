"""What reconciliation compares, each in its own module: friendships and what is noted of them, groups, staff.

A step does a few of each, so that a round costs a corp little and harms nobody when it is cut short."""
