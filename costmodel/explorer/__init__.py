"""The explorer: one offline HTML page that costs networks with the formulas of this package."""
