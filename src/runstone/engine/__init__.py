"""Runs and resumes: leases and heartbeats, handles for loops of one's own, agents and workflows."""
