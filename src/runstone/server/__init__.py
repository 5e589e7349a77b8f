"""The HTTP API: reads, controls and the live stream of one workspace, for browsers, other languages and machines.

`serve` runs it; `app` puts it together; `security/` is passed by every request before anything else sees it;
`routes/` has one module per noun, `shapes/` what they take and give. Errors become problems in `problems`.
"""
