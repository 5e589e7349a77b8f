"""Whether the extra `server` is installed, asked before anything is made."""

from runstone.errors import ServerMissing


def require() -> None:
    """Raises `ServerMissing`."""
    try:
        import litestar  # noqa: F401  whether it is there
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise ServerMissing(f"the server is not installed ({error.name} is missing)") from error
