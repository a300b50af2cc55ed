"""One file = one kind of issue, named like the file: ISSUE = IssueKind(...)."""
