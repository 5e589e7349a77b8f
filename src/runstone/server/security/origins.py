"""Whether a request comes from a page of this server, from no page at all, or from another site, which is refused.

Browsers say so in Sec-Fetch-Site, which scripts cannot set; those that do not are known by Origin. Another port of this
machine is `same-site`, and another site here.
"""

from typing import Final

from runstone.errors import CrossSiteRefused
from runstone.server.security.hosts import Hosts

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES: Final = frozenset({"same-origin", "none"})


def require_own_site(
    hosts: Hosts, method: str, *, site: str | None, origin: str | None, by_cookie: bool, navigation: bool
) -> None:
    """Raises `CrossSiteRefused` for a request of another site's page.

    `navigation` says that it opens a page of the app that shows nothing by itself. With a cookie, which a browser sends
    by itself, an unsafe request must say where it comes from.
    """
    if origin is not None and origin not in hosts.origins:
        raise CrossSiteRefused(f"the request comes from a page of {ascii(origin)[:100]}")
    if site is not None and site not in _OWN_SITES and not (navigation and method == "GET"):
        raise CrossSiteRefused(
            f"the request comes from a page of another site (Sec-Fetch-Site: {ascii(site)[:40]})"
        )
    if by_cookie and method not in SAFE_METHODS and origin is None and site != "same-origin":
        raise CrossSiteRefused(
            "a request with a cookie that changes something must say from which page it comes"
        )
