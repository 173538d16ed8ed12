"""Importing files: a table of rows that people have, with columns they name, into something the product keeps.

A file is read once, when it is uploaded: its encoding and separator are found, and its rows are put into the database
in parts of a thousand (`files`, `jobs`). The operator says which column is what. Then each part is imported in one
transaction that also marks it as done, so that an import that was interrupted goes on where it was and doubles nothing.

What a row becomes is a *kind*'s business: events here, others register themselves (`kinds.register`)."""
