"""Max pooling where arrays are another library's: one module a guest, none imported unasked."""
