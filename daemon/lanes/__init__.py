"""A lane is one connection with one job at a time; pools of workers serve the lanes of all targets."""
