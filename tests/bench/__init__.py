"""`make bench`: the service and its rivals side by side, on the machine that it runs on."""
