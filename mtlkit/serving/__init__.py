"""The HTTP server of `mtlkit serve`. Needs the extra `serve`."""
