"""Who speaks the dialects: one row of data a provider."""
