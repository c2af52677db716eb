"""How bytes are cut: server-sent events and JSON, in no vendor's words."""
