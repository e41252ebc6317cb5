"""A run's tables in the forms of other tools: files, databases, workbooks."""
