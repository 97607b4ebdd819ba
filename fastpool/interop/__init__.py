"""Pooling where arrays are another library's: one package a guest, none imported unasked."""
