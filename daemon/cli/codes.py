"""Exit codes. Those of a check are the ones that monitoring plug-ins have always used."""

OK = 0
WARNING = 1
CRITICAL = 2
UNKNOWN = 3  # could not tell
SETUP = 64  # usage or set-up: people must change something
INTERNAL = 70  # a defect of ours
INTERRUPTED = 130  # 128 + SIGINT
READER_LEFT = 141  # 128 + SIGPIPE: `pgvigil ... | head`
