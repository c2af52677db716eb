"""ProxyPal Core: one local endpoint for every AI model you are entitled to."""

__version__ = "0.1.0"
