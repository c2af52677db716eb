"""The promises of reliability in figures: `make reliability`."""
