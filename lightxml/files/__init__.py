"""Bytes on a disk, from strangers perhaps: strict JSON, arrays, and bundles that are whole or not
there.
"""
