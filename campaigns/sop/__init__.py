"""流程: steps that wait and send, begun by an event and ended by a goal."""
