"""The pages: what is published, for people and for machines. Plain files that any web server serves."""

from wheelyard.site.pages import pages
from wheelyard.site.write import write_site

__all__ = ["pages", "write_site"]
