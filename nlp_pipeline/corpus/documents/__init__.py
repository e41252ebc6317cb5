"""Documents that are no text yet: files of offices, pages and mails, converted to text."""
