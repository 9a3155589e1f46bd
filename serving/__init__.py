"""Everything a prediction is, and the service that answers with it. Imports nothing from `training`."""
