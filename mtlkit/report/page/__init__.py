"""The page of `mtlkit report`: its content as data, its charts, and the templates that show them."""
