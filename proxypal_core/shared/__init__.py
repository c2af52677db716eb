"""What the replicas of one installation know of each other."""
