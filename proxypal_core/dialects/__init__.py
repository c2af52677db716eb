"""Which words are used: one module a dialect, none of which knows another."""
