"""Every setting: what it is called, what it means, and how a file of them is read."""
