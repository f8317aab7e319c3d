"""The search of `mtlkit mine`."""
