"""What tests of ledgers, stores and agents need: public, and used by Runstone's own tests."""
