"""What a run is: pure decisions and records. No I/O, no clock, no randomness."""
