"""x"""
maximum_filter=maximum_filter1d=minimum_filter=minimum_filter1d=uniform_filter=uniform_filter1d=None
