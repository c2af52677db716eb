"""Who pays: accounts, what a failure means for one, and which of them answers next."""
