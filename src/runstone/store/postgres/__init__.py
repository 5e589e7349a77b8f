"""The PostgreSQL store: a database that several machines share as one ledger.

Statements have the names, parameters and result columns of SQLite's, so that everything above `Database` is shared.
Those that both say alike stand in `store/queries/`, once. They are written with `:name` (reading) and `?` (rows), as
there; `dialect` makes PostgreSQL's `$1` of both:

- A one-row statement for many rows is an array for each column: `VALUES (?, ?)` becomes a SELECT from `unnest`, whose
  columns are called column1, column2 as those of VALUES are. An INSERT takes the types from its table; anything else
  says them: `(VALUES (?::bigint, ?::text)) AS given`.
- An upsert gets the last row of each key, as PostgreSQL touches a row only once in a statement.
- `json_each(:keys)` becomes `(SELECT jsonb_array_elements_text(:keys::jsonb))`, cast to bigint for integer keys;
  `payload ->> 'x'` becomes `payload::json ->> 'x'`, as JSON is kept as the text that it was.
- `IS` and `IS NOT` between values become `IS NOT DISTINCT FROM` and `IS DISTINCT FROM`; `max(a, b)` becomes `greatest`,
  `instr` becomes `strpos`, `group_concat` `string_agg`, `sum(condition)` `count(*) FILTER (WHERE condition)`.
- A parameter that is compared with NULL or given to a function of several types needs its type: `:phase::text`.
- Integers stay bigint, flags 0 and 1, times microseconds; a sum comes back as int, a truth value as 0 or 1.
- `"offset"` is quoted, and `rowid` is the `id` of its table; the index of texts is asked `body @@ words_query(:query)`.
"""
