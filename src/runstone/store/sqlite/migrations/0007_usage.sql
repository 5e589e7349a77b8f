-- How many requests of a sum were priced by Runstone, beside those whose cost is unknown: the rest was reported.
-- Until now no cost was priced, so that the sums there are hold none.

ALTER TABLE totals ADD COLUMN priced_costs INTEGER NOT NULL DEFAULT 0;

-- The part of the cache writes that was to be kept for an hour: it has a price of its own, which a repricing needs.
ALTER TABLE usage ADD COLUMN cache_write_1h_tokens INTEGER NOT NULL DEFAULT 0
  CHECK (cache_write_1h_tokens BETWEEN 0 AND cache_write_tokens);
