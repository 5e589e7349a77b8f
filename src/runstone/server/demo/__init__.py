"""`runstone up --demo`: three runs of made-up agents, really run, in a workspace of their own."""
