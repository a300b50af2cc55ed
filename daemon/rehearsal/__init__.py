"""Rules tried out on readings from a file: what would fire, and when, without a server and without waiting."""
