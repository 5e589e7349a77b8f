"""`/`: a page for who opens the server without the command center in this build."""

from typing import Final

from litestar import MediaType, get

_PAGE: Final = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Runstone</title><meta name="viewport" content="width=device-width"></head>
<body>
<h1>Runstone is running</h1>
<p>The command center is not part of this build. Everything is there on the command line, and over HTTP:</p>
<pre>runstone runs list
runstone runs watch RUN
runstone inputs list</pre>
<ul>
<li><a href="/openapi.json">The API as an OpenAPI document</a></li>
<li><a href="/api/v1/runs">The latest runs as JSON</a></li>
<li><a href="/api/v1/meta">What this server is</a></li>
</ul>
</body>
</html>
"""


@get("/", media_type=MediaType.HTML, include_in_schema=False)
async def home() -> str:
    """Static, without a script or a style: the headers let nothing else through."""
    return _PAGE
