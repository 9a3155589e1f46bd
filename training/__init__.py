"""From labelled sentences to a registered model: `python -m training.<verb>`, as the Makefile calls them in order."""
