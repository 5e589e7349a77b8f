-- How many requests of a sum were priced by Runstone, beside those whose cost is unknown: the rest was reported.
-- Until now no cost was priced, so that the sums there are hold none.

ALTER TABLE totals ADD COLUMN priced_costs INTEGER NOT NULL DEFAULT 0;
