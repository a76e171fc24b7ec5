"""Pages of the published wheels, for people and for machines: plain files that any web server serves."""
