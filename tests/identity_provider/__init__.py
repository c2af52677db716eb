"""A strict identity provider on a real socket."""
