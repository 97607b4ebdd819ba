"""What users call: signatures, their documentation, and one line that hands a call over."""
