"""The way in: routes, guards, and the life of a request."""
