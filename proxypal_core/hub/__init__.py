"""What is meant: requests, answers, their pieces and their failures, in no vendor's words."""
