"""Fakes and builders for tests, shipped by the owner of what they stand for.

``healthimaging`` needs nothing beside core; ``image_sets`` needs numpy, and the codec
of the transfer syntax that is asked for, when it is called.
"""
