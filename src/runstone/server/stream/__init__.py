"""The live stream: what the ledger says, read once per change and handed to all who follow.

    ledger -> pages (a range query) -> hub (a bounded ring) -> follower (a position and a filter) -> the connection

No follower has a queue. One that is at the front is given the pages that the hub has read; one that is behind reads
them from the ledger itself, by its position. So memory does not grow with how slow anybody is, and nothing is skipped.
"""
